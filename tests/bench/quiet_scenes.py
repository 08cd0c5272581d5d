"""Half an hour of each SYNTHETIC scene in which nothing happens: alarms, and what looking cost.

`python -m tests.bench.quiet_scenes [SCENE ...]` shows them to a camera's real eyes with every rule
on, as fast as they can look; a line a scene. `make faults` holds that none raises anything.
"""

import tempfile
from pathlib import Path

import click

from agent.detect.detector import open_detector
from agent.simulators.drawn_weather import SCENES, frames
from tests.integration.test_quiet_scenes import EVERY_RULE
from tests.watched_film import watch


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SCENES)))
@click.option("--seconds", default=1800, show_default=True)
@click.option("--fps", default=5.0, show_default=True)
def bench(names: tuple[str, ...], seconds: int, fps: float) -> None:
    """Show the scenes; print alarms, findings of picture health, gate and questions."""
    detector = open_detector()
    for name in names or tuple(SCENES):
        with tempfile.TemporaryDirectory() as folder:
            film = frames(name, 640, 360, fps, seconds)
            hits, findings, eyes = watch(film, EVERY_RULE, detector, Path(folder), fps=fps)
        status = eyes.status
        click.echo(
            f"{name}: {seconds / 60:g} min at {fps:g} fps, {len(hits)} alarms, {len(findings)}"
            f" findings; gate open {status.motion_frames_total / status.frames_total:.0%}, asked"
            f" {status.asked_total / status.frames_total:.0%}"
        )
        for hit in hits:
            click.echo(f"  {hit.mono_s:.1f} s {hit.rule_id} {hit.state.value} {hit.measures}")


if __name__ == "__main__":
    bench()
