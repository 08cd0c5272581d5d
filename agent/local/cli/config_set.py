"""`poleside config set|confirm`: what the page changes of the settings, from a terminal."""

from __future__ import annotations

import tomllib
from typing import IO

import click

from agent.local.cli.answer import json_option, show
from agent.local.cli.audited import local_user, note
from agent.local.cli.box_in_reach import Box, box_options


@click.command("set", epilog="Exit code: 0 in effect and on trial, 1 refused: nothing changed.")
@box_options
@click.argument("patch", type=click.File("rb"))
@json_option
def set_(box: Box, patch: IO[bytes], *, as_json: bool) -> None:
    """Lay the TOML of PATCH (a file, - for standard input) over the settings of the running box.

    Checked as a whole, kept over restarts, on trial like a change at the page. Another way to the
    center (`[broker]`) is taken back unless `poleside config confirm` comes within five minutes.

    \b
    printf '[[cameras]]\\ncamera_id = "gate"\\ndetect_fps = 3.0\\n' | poleside config set -
    """
    from agent.commands.questions import ChangeHere
    from agent.core.errors import SettingsError

    try:
        told = tomllib.loads(patch.read().decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError("settings.not_toml", f"It is no TOML: {error}.") from error
    box.ask(ChangeHere(told, local_user()), object)
    needs_word = "broker" in told
    lines = ["In effect, on trial for five minutes."]
    if needs_word:
        lines.append("`poleside config confirm` within that time, or it is taken back.")
    show({"changed": sorted(told), "needs_confirm": needs_word}, lines, as_json=as_json)


@click.command(epilog="Exit code: 0 it stays, 1 nothing waits to be confirmed.")
@box_options
@json_option
def confirm(box: Box, *, as_json: bool) -> None:
    """Keep another way to the center that is on trial; networks: `poleside network confirm`."""
    from agent.commands.questions import ConfirmSettings
    from agent.core.errors import SettingsError

    if not box.ask(ConfirmSettings(), bool):
        raise SettingsError("settings.nothing_waits", "Nothing waits to be confirmed.")
    note(box.data_dir, "settings.confirm")
    show({"confirmed": True}, ["Confirmed: it stays."], as_json=as_json)
