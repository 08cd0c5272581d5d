"""How the voice's bench tells a figure: its name, its value, its bar."""

import click


def say(name: str, value: str, bar: str = "") -> None:
    click.echo(f"{name:<58}{value:>18}   {bar}")
