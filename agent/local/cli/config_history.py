"""`poleside config history|diff|rollback`: what the settings were, who changed them, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from agent.local.cli.answer import json_option, show
from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.table import echo_table

if TYPE_CHECKING:
    from agent.settings.history import Version


@click.command()
@box_options
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON list.")
def history(box: Box, *, as_json: bool) -> None:
    """List the versions of the settings: when, on whose word, what changed, which proved itself.

    `last good`: it stood its trial (five minutes with all that worked before), or was in effect
    without one.
    """
    from agent.settings import history as kept

    versions = kept.versions(box.data_dir)
    good = kept.last_good(box.data_dir)
    told = []
    for before, version in zip([None, *versions], versions, strict=False):
        told.append(
            {
                "version": version.number,
                "at": version.at.isoformat(timespec="seconds"),
                "by": version.by,
                "why": version.why,
                "changed": "" if before is None else _between(before, version),
                "is_last_good": version.number == good,
                "is_in_effect": version is versions[-1],
            }
        )
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    echo_table(
        ("version", "at", "by", "why", "", "changed"),
        (
            (
                one["version"],
                one["at"],
                one["by"],
                one["why"],
                " ".join(
                    word
                    for word, key in (("in effect", "is_in_effect"), ("last good", "is_last_good"))
                    if one[key]
                ),
                one["changed"],
            )
            for one in told
        ),
    )


@click.command(epilog="Exit code: 0 they are the same, 1 they differ or can't be read.")
@box_options
@click.argument("old", type=int)
@click.argument("new", type=int, required=False)
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON list.")
@click.pass_context
def diff(context: click.Context, box: Box, old: int, new: int | None, *, as_json: bool) -> None:
    """Say value by value how version OLD differs from NEW, or from what is in effect.

    \b
    poleside config history
    poleside config diff 3
    poleside config diff 2 3
    """
    from agent.settings import history as kept

    before = kept.version_of(box.data_dir, old)
    after = kept.versions(box.data_dir)[-1] if new is None else kept.version_of(box.data_dir, new)
    text = _between(before, after)
    lines = text.split("; ") if text else []
    if as_json:
        click.echo(json.dumps(lines, ensure_ascii=False))
    else:
        click.echo("\n".join(lines) or "They are the same.")
    context.exit(1 if lines else 0)


@click.command()
@box_options
@click.argument("version", type=int, required=False)
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def rollback(box: Box, version: int | None, *, yes: bool, as_json: bool) -> None:
    """Put back what was set at the page as it was in VERSION; without one, the last good.

    The file and the center's configuration are not the box's to change; where they differ from
    that version it is said. Whose box it is and its way to the center stay, too. A running agent
    takes it on trial like every change.

    \b
    poleside config history
    poleside config rollback 3
    """
    from agent.commands.questions import RestoreSettings
    from agent.core.errors import SettingsError
    from agent.local.cli.audited import local_user, note
    from agent.settings import history as kept
    from agent.settings.load import with_desired, with_local, write_local

    number = version if version is not None else kept.last_good(box.data_dir)
    if number is None:
        raise SettingsError("settings.no_version", "No version has proved itself yet.")
    then, now = kept.version_of(box.data_dir, number), kept.versions(box.data_dir)[-1]
    if then.table != now.table:
        click.echo("The settings file has changed since; it stays as it is now.", err=True)
    if then.desired != now.desired:
        click.echo("The center's configuration has changed since; it stays.", err=True)
    if not yes:
        click.confirm(f"Put back what was set at the page in version {number}?", abort=True)
    if box.is_running():
        restored = box.ask(RestoreSettings(number, local_user()), dict)
        parts = ", ".join(restored["sections"]) or "nothing that is in effect"
        show(
            {"version": number, "is_on_trial": True, "changed": restored["sections"]},
            [f"Version {number} is back, on trial; changed: {parts}."],
            as_json=as_json,
        )
        return
    local = kept.back_to(then, now.local)
    with_desired(with_local(now.table, local), now.desired)  # refuse what no longer fits
    write_local(box.data_dir, local)
    note(box.data_dir, "settings.rollback", detail=f"to version {number}")
    show(
        {"version": number, "is_on_trial": False, "changed": []},
        [f"Version {number} is back; it counts from the next start of the agent."],
        as_json=as_json,
    )


def _between(old: Version, new: Version) -> str:
    from agent.core.errors import SettingsError
    from agent.settings.history import between

    try:
        return between(old, new)
    except SettingsError as error:
        return f"can't be read by this version of poleside: {error.message}"
