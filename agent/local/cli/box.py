"""`poleside box`: the board itself. Answers on a box whose agent is on, off or broken alike."""

import os
import sys
from pathlib import Path

import click
import msgspec

from agent.app.engine_choice import engines_here, engines_of
from agent.core.errors import DetectorError
from agent.detect import probe
from agent.detect.manifest import load_manifest
from agent.local.cli.board_report import Answer, chips_of, lines_of, report_of, selftest_of
from hardware.pick import pick_board

_MARKS = {
    Answer.WELL: ("OK", "green"),
    Answer.FAULT: ("FAULT", "red"),
    Answer.UNKNOWN: ("UNKNOWN", "yellow"),
    Answer.ABSENT: ("NONE", "bright_black"),
}

_root = click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("/"),
    help="Read another machine's recorded /proc and /sys from this folder.",
)
_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/poleside"),
    show_default=True,
    help="The data folder: its medium is looked at.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")


@click.group()
def box() -> None:
    """The box's board: heat, supply, disk, clock, fan, watchdog, digital lines.

    \b
    Examples:
      poleside box status
      poleside box selftest --json
      poleside box accelerators     # ms per inference, by engine and threads
      poleside box lines            # names for `line = ...` under [pole] in the settings

    What a board can't tell is said to be unknown; it is never guessed.
    """


@box.command()
@_root
@_data_dir
@_as_json
def status(root: Path, data_dir: Path, *, as_json: bool) -> None:
    """Print everything the board tells, as it is read."""
    report = report_of(pick_board(root), data_dir)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for name, value in msgspec.to_builtins(report).items():
        click.echo(click.style(name.replace("_", " "), bold=True))
        for entry in value if isinstance(value, list) else [value]:
            click.echo(f"  {_words(entry)}")
        if value == []:
            click.echo("  none")


@box.command(epilog="Exit code: 0 without a fault (unknown is no fault), 1 with one.")
@_root
@_data_dir
@_as_json
def selftest(root: Path, data_dir: Path, *, as_json: bool) -> None:
    """Judge every part of the board: OK, FAULT with what to do, NONE, or UNKNOWN."""
    findings = list(selftest_of(report_of(pick_board(root), data_dir)))
    if as_json:
        click.echo(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            mark, colour = _MARKS[finding.answer]
            code = f" [{finding.code}]" if finding.code else ""
            shown = click.style(f"{mark:<8}", fg=colour)
            click.echo(f"{shown}{finding.part:<18} {finding.sentence}{code}")
            if finding.hint:
                click.echo(f"{'':<26} {finding.hint}")
    sys.exit(1 if any(finding.answer is Answer.FAULT for finding in findings) else 0)


@box.command()
@_root
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A model's folder; default: the one shipped.",
)
@_as_json
def accelerators(root: Path, model: Path | None, *, as_json: bool) -> None:
    """Measure what one inference costs on each engine and thread count of this box.

    A chip is tried only where the board shows one. Each trial is a process of its own: what hangs
    or crashes is said, and the next one goes on.
    """
    chips = chips_of(pick_board(root))
    try:
        engines = engines_here(load_manifest(model), chips)
    except DetectorError as error:
        raise click.ClickException(error.message) from error
    cores = os.cpu_count() or 1
    trials = []
    for trial in probe.probe(engines, [n for n in probe.THREADS if n <= cores], model):
        trials.append(trial)
        if not as_json:
            click.echo(f"{trial.engine:<14}{trial.threads} thread(s)  {_trial_words(trial)}")
    best = next(iter(probe.ranked(trials)), None)
    if as_json:
        report = {"chips": chips, "trials": trials, "best": best}
        click.echo(msgspec.json.encode(report).decode())
        return
    for chip in chips:
        if not set(engines_of(chip)) & set(engines):
            words = " or ".join(engines_of(chip))
            click.echo(f"{chip.name}: there; the model has no file for {words}.")
    if best is not None:
        click.echo(f"Least processor time: {best.engine} with {best.threads} thread(s).")


def _trial_words(trial: probe.Trial) -> str:
    if trial.ms is None:
        return trial.why
    return f"{trial.ms:7.2f} ms, {trial.cpu_ms:7.2f} ms of processor  ({trial.name})"


@box.command()
@_root
@_as_json
def lines(root: Path, *, as_json: bool) -> None:
    """List the digital lines by the names the settings take."""
    found = lines_of(pick_board(root))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for line in found:
        held = f"  held by {line.used_by}" if line.used_by else ""
        click.echo(f"{line.chip}:{line.offset:<4} {line.name or '-':<16}{held}")
    if not found:
        click.echo("The kernel shows no digital lines (/dev/gpiochip*), or they may not be read.")


def _words(entry: object) -> str:
    if not isinstance(entry, dict):
        return "unknown" if entry is None else str(entry)
    return ", ".join(
        f"{key.replace('_', ' ')}: {_words(value)}"
        for key, value in entry.items()
        if value not in ([], ())
    )
