"""What a further camera costs in memory, on this Python: `python -m tests.bench.memory`.

The memory part of `python -m tests.bench` by itself, in two minutes: the agent with two cameras and
with four, recording only, looking, and with its detector. *Added* is the PSS of the whole tree from
two cameras to four, for each; *own* what a worker shares with nobody.
"""

import platform
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from tests.bench import cameras as simulated
from tests.bench.__main__ import CACHE
from tests.bench.cameras import Camera
from tests.bench.clip import LOOP_S, ready_clip
from tests.bench.process_tree import measure
from tests.bench.rounds import AGENT, BLIND, RECORD
from tests.bench.systems import agent, broker

_FEW, _MANY = 2, 4
_KINDS = {RECORD: (False, False), BLIND: (False, True), AGENT: (True, True)}  # detects, looks


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--only", type=click.Choice(list(_KINDS)), multiple=True, default=list(_KINDS))
@click.option("--seconds", type=click.FloatRange(1), default=LOOP_S, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path, resolve_path=True), default=CACHE)
def memory(rounds: int, only: tuple[str, ...], seconds: float, folder: Path) -> None:
    """Measure what a further camera costs in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    click.echo(f"Python {platform.python_version()}, MiB")
    with ExitStack() as stage:
        scratch = Path(stage.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        broker_url, _ = stage.enter_context(broker(scratch))
        clip = ready_clip(folder)
        stand = stage.enter_context(simulated.cameras(_MANY, clip, folder))
        for _ in range(rounds):
            for kind in only:
                few, _ = _look_at(kind, stand[:_FEW], broker_url, folder, seconds)
                many, own = _look_at(kind, stand, broker_url, folder, seconds)
                added = (many - few) / (_MANY - _FEW)
                workers = " ".join(f"{each:.1f}" for each in own)
                click.echo(f"{kind}: added {added:.1f}, own {workers}, all {few:.1f} {many:.1f}")


def _look_at(
    kind: str, cameras: list[Camera], broker_url: str, folder: Path, seconds: float
) -> tuple[float, list[float]]:
    """Return the tree's PSS, and what each camera worker has of its own."""
    detect, look = _KINDS[kind]
    with (
        tempfile.TemporaryDirectory(dir=folder) as name,
        agent(cameras, Path(name), broker_url, detect=detect, look=look) as run,
    ):
        whole, each = measure(run.tree, seconds)
    return whole.pss_mib, sorted(
        cost.own_mib for name, cost in each.items() if name.startswith("camera-")
    )


if __name__ == "__main__":
    memory()
