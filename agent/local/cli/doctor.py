"""`poleside doctor`: what is missing on this machine, line by line, with what to do about it."""

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
import msgspec

from agent.app.settings_on_disk import stored_over
from agent.core.clock import SystemClock
from agent.core.errors import PolesideError
from agent.local.cli import diagnosis
from agent.local.cli.diagnosis import Finding, Level
from agent.local.cli.spoken import lang_option, said_in, words_of
from agent.settings.model import Settings
from hardware.pick import pick_board

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    ok: bool
    findings: tuple[Finding, ...]


@click.command(
    epilog="Exit code: 0 when nothing failed (warnings allowed), 1 when something did. "
    "Nothing is changed, no password is sent."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The box's settings file. With it, the data folder, broker and cameras are checked too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for a program.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 60),
    default=3.0,
    show_default=True,
    help="Seconds to wait for each broker and camera.",
)
@lang_option
def doctor(config: Path | None, lang: str, *, as_json: bool, timeout_s: float) -> None:
    """Check this machine before, or when, the box does not do what it should.

    Looks at Python and its packages, the detector's model, the board (heat, supply, clock), the
    disk, and with --config at the data folder, the broker and the cameras.

    \b
    Examples:
      poleside doctor
      poleside doctor --config /etc/poleside/poleside.toml
      poleside doctor --config poleside.toml --json

    Each line starts with OK, WARN (works, but look at it) or FAIL (won't work); the line below
    says what to do, and the code in brackets is what the documents and the center call it.
    """
    findings: list[Finding] = []
    for finding in _examine(config, timeout_s):
        findings.append(finding)
        if not as_json:
            _show(finding, lang)
    failed = any(finding.level is Level.FAIL for finding in findings)
    if as_json:
        plain = (msgspec.structs.replace(finding, fault=None) for finding in findings)
        report = Report(ok=not failed, findings=tuple(plain))
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        warned = sum(finding.level is Level.WARN for finding in findings)
        fails = sum(finding.level is Level.FAIL for finding in findings)
        told = words_of(lang)["doctor.sum"].format(n=len(findings), fails=fails, warned=warned)
        click.echo(f"\n{told}")
    sys.exit(1 if failed else 0)


def _examine(config: Path | None, timeout_s: float) -> Iterator[Finding]:
    """Yield findings one by one, so that a slow network does not hide the quick answers."""
    yield from chain(diagnosis.check_python(), diagnosis.check_packages())
    settings, trouble = None, None
    if config is not None:
        settings, trouble = _settings(config)
        if settings is not None:
            yield _found(config, settings)
    if trouble is not None:
        yield trouble
    given = settings or Settings()
    yield from diagnosis.check_model(settings)
    board = pick_board(kind=given.board.kind)
    yield from diagnosis.check_board(board, given, SystemClock())
    if settings is not None:
        yield from diagnosis.check_data_dir(settings)
        if trouble is None:  # else the key there is another box's, too
            yield from diagnosis.check_key(settings)
        yield from diagnosis.check_network(settings, timeout_s)


def _settings(config: Path) -> tuple[Settings | None, Finding | None]:
    """Return the settings that count, and what keeps the agent from some or all of them."""
    try:
        stored = stored_over(config)
        if stored.is_refused:
            return stored.file_alone, _trouble(stored.refusal)
        return stored.read(), None
    except PolesideError as error:
        return None, _trouble(error)


def _trouble(error: PolesideError) -> Finding:
    return Finding(
        level=Level.FAIL,
        subject="settings",
        sentence=error.message,
        code=error.code,
        hint=error.hint,
    )


def _found(config: Path, settings: Settings) -> Finding:
    cameras = len(settings.cameras)
    sentence = f"{config}: {cameras} camera(s), box {settings.site}/{settings.box}."
    return Finding(level=Level.OK, subject="settings", sentence=sentence)


def _show(finding: Finding, lang: str) -> None:
    words = words_of(lang)
    mark = click.style(
        words[f"doctor.{finding.level.value}"], fg=_COLOURS[finding.level], bold=True
    )
    code = f" [{finding.code}]" if finding.code else ""
    kind, _, which = finding.subject.partition(" ")
    subject = words.get(f"doctor.of.{finding.subject}", finding.subject)
    if which and kind == "camera":
        subject = f"{words['doctor.of.camera']} {which}"
    sentence, hint = _said(finding, lang)
    click.echo(f"{mark}  {subject}: {sentence}{code}")
    if hint:
        click.echo(f"      → {hint}")


def _said(finding: Finding, lang: str) -> tuple[str, str]:
    """Return sentence and hint in a language: those of a fault of the box are in both."""
    if finding.fault is not None and lang == "ko":
        return finding.fault.sentence_ko, finding.fault.hint_ko
    return said_in(lang, finding.sentence, finding.code), said_in(lang, finding.hint)
