"""`poleside status`: the front page in a terminal: one light, a sentence, an action per fault."""

import sys
from typing import Any

import click

from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.table import echo_table, light_word, size_words, time_words

_SENTENCES = {
    "en": {
        "green": "All is well.",
        "yellow": "Works; something should be looked at soon.",
        "red": "Something is wrong: act now.",
    },
    "ko": {
        "green": "모두 정상입니다.",
        "yellow": "작동 중이나 곧 확인이 필요합니다.",
        "red": "이상이 있습니다. 지금 조치하십시오.",
    },
}


@click.command(
    epilog="Exit code: 0 green or yellow, 1 red, 3 the agent does not run here (its files tell)."
)
@box_options
@click.option("--lang", type=click.Choice(["en", "ko"]), default="en", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def status(box: Box, lang: str, *, as_json: bool) -> None:
    """Tell how this box does: light, faults with what to do, cameras, link, disk, heat, clock.

    \b
    poleside status
    poleside status --lang ko
    poleside status --json
    """
    import msgspec

    from agent.commands.questions import AskState
    from agent.local.web.view import BoxState

    state = box.ask_if_running(AskState(), BoxState)
    if state is None:
        _show_files(box, as_json=as_json)
        sys.exit(3)
    if as_json:
        click.echo(msgspec.json.encode(state).decode())
    else:
        _show(state, lang)
    sys.exit(1 if state.light.value == "red" else 0)


def _show_files(box: Box, *, as_json: bool) -> None:
    import msgspec

    from agent.local.cli.health import of_files, show_health

    found = of_files(box.data_dir)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show_health(found)


def _show(state: Any, lang: str) -> None:
    click.echo(f"{light_word(state.light.value)} {_SENTENCES[lang][state.light.value]}")
    for fault in state.faults:
        sentence, hint = (getattr(fault, f"{part}_{lang}") for part in ("sentence", "hint"))
        click.echo(f"{light_word(fault.light.value)} {sentence} [{fault.code}]")
        if hint:
            click.echo(f"       → {hint}")
    click.echo()
    echo_table(
        ("camera", "name", "state", "recording", "recorded", "gaps", "detector"),
        (
            (
                one.camera_id,
                one.name,
                one.state.value,
                _yes(one.is_recording),
                time_words(one.recorded_s),
                one.gaps,
                one.detector,
            )
            for one in state.cameras
        ),
    )
    click.echo()
    for name, words in _facts(state):
        click.echo(f"{name:<9} {words}")


def _facts(state: Any) -> list[tuple[str, str]]:
    link, disk, board = state.link, state.disk, state.board
    waiting = sum(state.outbox.queued.values())
    way = f"connected to {link.endpoint}" if link.is_connected else "not connected"
    why = f": {link.last_error}" if link.last_error and not link.is_connected else ""
    free, total = size_words(disk.free_bytes), size_words(disk.total_bytes)
    heat = "unknown" if board.temperature_c is None else f"{board.temperature_c:.0f} °C"
    return [
        ("link", f"{way}{why}; {waiting} records wait"),
        ("storage", f"{free or '?'} free of {total or '?'}"),
        ("heat", heat + (", throttled" if board.is_throttled else "")),
        ("supply", {None: "unknown", True: "too low", False: "well"}[board.is_undervolted]),
        ("clock", f"{state.utc_now:%Y-%m-%d %H:%M:%S} UTC, {state.tq.value}"),
        ("versions", f"poleside {state.version}, {board.name or 'unknown board'}"),
        ("box", f"{state.site}/{state.box_id}"),
    ]


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "NO"
