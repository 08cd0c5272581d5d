"""`poleside status`: the front page in a terminal: one light, a sentence, an action per fault."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.spoken import lang_option, words_of
from agent.local.cli.table import echo_table, light_word, size_words, time_words, width


@click.command(
    epilog="Exit code: 0 green or yellow, 1 red, 3 the agent does not run here (its files tell)."
)
@box_options
@lang_option
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
        _show_files(box, lang, as_json=as_json)
        sys.exit(3)
    if as_json:
        click.echo(msgspec.json.encode(state).decode())
    else:
        _show(state, lang)
    sys.exit(1 if state.light.value == "red" else 0)


def _show_files(box: Box, lang: str, *, as_json: bool) -> None:
    import msgspec

    from agent.local.cli.health import of_files, show_health

    words = words_of(lang)
    found = of_files(box.data_dir, words)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show_health(found, words)


def _show(state: Any, lang: str) -> None:
    words = words_of(lang)
    click.echo(f"{light_word(state.light.value, words)} {words[f'light.{state.light.value}']}")
    for fault in state.faults:
        sentence, hint = (getattr(fault, f"{part}_{lang}") for part in ("sentence", "hint"))
        click.echo(f"{light_word(fault.light.value, words)} {sentence} [{fault.code}]")
        if hint:
            click.echo(f"       → {hint}")
    click.echo()
    columns = ("camera", "name", "state", "recording", "recorded", "gaps", "detector")
    echo_table(
        [words[f"col.{name}"] for name in columns],
        (
            (
                one.camera_id,
                one.name,
                words[f"camera.{one.state.value}"],
                _word(words, "recording.word", one.is_recording),
                time_words(one.recorded_s, words),
                one.gaps,
                words.get(f"detector.{one.detector}", one.detector),
            )
            for one in state.cameras
        ),
        words["none"],
    )
    click.echo()
    facts = _facts(state, words, lang)
    wide = max(width(name) for name, _ in facts)
    for name, told in facts:
        click.echo(f"{name}{' ' * (wide - width(name))}  {told}")


def _facts(state: Any, words: Mapping[str, str], lang: str) -> list[tuple[str, str]]:
    from agent.health.catalogue.reasons import reason_of

    link, disk, board = state.link, state.disk, state.board
    waiting = words["link.waiting"].format(n=sum(state.outbox.queued.values()))
    connected = words["link.connected"].format(endpoint=link.endpoint)
    way = connected if link.is_connected else words["link.away"]
    why = ""
    if link.last_error and not link.is_connected:
        why = f": {getattr(reason_of(link.last_error), lang)}"
    free, total = size_words(disk.free_bytes) or "?", size_words(disk.total_bytes) or "?"
    heat = words["unknown"] if board.temperature_c is None else f"{board.temperature_c:.0f} °C"
    clock = words[f"tq.{state.tq.value}"]
    told = {
        "link": f"{way}{why}; {waiting}",
        "storage": words["storage.free"].format(free=free, total=total),
        "heat": heat + (f", {words['heat.throttled']}" if board.is_throttled else ""),
        "supply": _word(words, "supply", board.is_undervolted) or words["supply.none"],
        "clock": f"{state.utc_now:%Y-%m-%d %H:%M:%S} UTC, {clock}",
        "versions": f"poleside {state.version}, {board.name or words['unknown-board']}",
        "box": f"{state.site}/{state.box_id}",
    }
    return [(words[f"fact.{name}"], text) for name, text in told.items()]


def _word(words: Mapping[str, str], name: str, value: bool | None) -> str | None:
    return None if value is None else words[f"{name}.{str(value).lower()}"]
