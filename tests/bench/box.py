"""What it costs to look at the board every few seconds: `python -m tests.bench.box`.

CPU seconds of this process over many looks, at this machine's own /sys and at the recorded trees;
the bar is half a per cent of one core.
"""

import os
import tempfile
import time
from pathlib import Path

import click

from agent.app.watch import LOOK_EVERY_S
from agent.core.clock import SystemClock
from agent.health.vitals import VitalsReader
from hardware.interface import Board
from hardware.pick import pick_board
from tests.bench.figures import say
from tests.unit.trees.plant import plant

BAR_PCT = 0.5
TREES = ("raspberry_pi_3_debian", "raspberry_pi_4_hot", "jetson_orin", "x86_pc")


def share_pct(board: Board, looks: int) -> float:
    """Return the share of one core that looking at `board` takes, in per cent."""
    reader = VitalsReader(board, Path.cwd(), SystemClock())
    pids = {"core": os.getpid(), "supervisor": os.getppid()}
    reader.read(pids)  # the first one measures memory, too, which is done once a minute
    began_s = time.process_time()
    for _ in range(looks):
        reader.read(pids)
    return 100 * (time.process_time() - began_s) / looks / LOOK_EVERY_S


@click.command()
@click.option("--looks", type=click.IntRange(1), default=300, show_default=True)
def main(looks: int) -> None:
    bar = f"bar: {BAR_PCT} % of one core"
    say("looking at this machine", f"{share_pct(pick_board(), looks):.3f} %", bar)
    with tempfile.TemporaryDirectory() as folder:
        for name in TREES:
            board = pick_board(plant(name, Path(folder) / name))
            say(f"looking at the tree {name}", f"{share_pct(board, looks):.3f} %", bar)


if __name__ == "__main__":
    main()
