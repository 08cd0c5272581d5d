"""How a bench tells a figure: its name, its value, its bar, and whether that is met."""

import click


def say(name: str, value: str, bar: str = "", *, is_met: bool | None = None) -> None:
    verdict = {None: "", True: "   met", False: "   MISSED"}[is_met]
    click.echo(f"{name:<58}{value:>18}   {bar}{verdict}")
