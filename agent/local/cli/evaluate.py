"""`poleside evaluate`: the exam. Footage with ground truth through the box's own eyes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from agent.core.errors import ExamError, PolesideError
from agent.local.cli.progress import say_over

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("clips", nargs=-1, required=True, type=_PATH)
@click.option("--truth", required=True, type=_PATH, help="File or folder of ground truth.")
@click.option("--rules", type=_PATH, help="TOML or JSON of rules; else what the truth asks for.")
@click.option("--fps", type=click.FloatRange(0.2, 30), help="Looks a second (else the camera's).")
@click.option("--model", type=_PATH, help="A model's folder; else the one shipped.")
@click.option("--truth-size", help="Picture size of the true boxes, as 768x576.")
@click.option("--truth-fps", type=click.FloatRange(0.1, 120), help="Frames a second of the truth.")
@click.option("--until", "until_s", type=float, help="Only the first SECONDS of each clip.")
@click.option("--out", type=_PATH, default=Path("exam-result"), help="For XML and pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def evaluate(
    clips: tuple[Path, ...],
    truth: Path,
    rules: Path | None,
    fps: float | None,
    model: Path | None,
    truth_size: str | None,
    truth_fps: float | None,
    until_s: float | None,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Look at CLIPS (files or folders), compare with the truth, and score.

    Behaviours as the Korean certification does (an alarm counts from 2 s before to 10 s after),
    the detector by AP50, tracks by IDF1 and MOTA. OUT gets KISA-style XML of what was raised and
    a picture of each miss and false alarm. What the truth may look like: agent/exam/README.md.

    \b
    poleside evaluate footage/ --truth footage/
    poleside evaluate walk.mp4 --truth walk_gt.txt --truth-size 768x576 --fps 10 --json
    """
    from agent.detect.detector import open_detector
    from agent.exam.examiner import Exam, hold
    from agent.exam.footage import Told
    from agent.exam.report_text import lines

    try:
        told = Told(_size(truth_size), truth_fps)
        exam = Exam(clips, truth, rules, fps, told, until_s)
        report, sats = hold(exam, open_detector(model), _tell)
        say_over("")
        _write(sats, out)
    except PolesideError as error:
        say_over("")
        if not as_json:
            raise
        click.echo(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}))
        sys.exit(1)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(report))
    else:
        click.echo("\n".join(lines(report)))
        click.echo(f"XML and pictures: {out}")


def _write(sats: list, out: Path) -> None:  # type: ignore[type-arg]
    from agent.exam.evidence_pictures import write_pictures
    from agent.exam.result_xml import write_result

    try:
        for sat in sats:
            sitting = sat.sitting
            path = out / "xml" / f"{sitting.clip.stem}.xml"
            write_result(path, sitting.clip.path.name, sitting.duration_s, sitting.alarms)
        write_pictures(sats, out / "pictures")
    except OSError as error:
        raise ExamError(
            "exam.out",
            f"The result can't be written to {out}: {error.strerror}.",
            hint="Give another folder with --out.",
        ) from error


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ExamError("exam.size", f"`{text}` is no picture size.", hint="Write it as 768x576.")
    return int(width), int(height)


def _tell(name: str, done: float) -> None:
    say_over(f"{name} {done:4.0%}")
