"""What it costs to look at the board every few seconds: `python -m tests.bench.box`.

CPU seconds of this process over many looks, at this machine's own /sys and at the recorded trees;
the bar is half a per cent of one core. Then the bell: from its line (a file) to the center's
store, which is later than the broker, while 500 other events are on their way.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import click

from agent.app.watch import LOOK_EVERY_S
from agent.contract.events import CapStatus, EventKind, Phase
from agent.core.clock import SystemClock
from agent.events import incidents
from agent.events.assembler import Assembler
from agent.events.telling import Origin
from agent.health.vitals import VitalsReader
from agent.pole.inputs import Inputs
from agent.settings.pole import InputSettings, Meaning
from agent.simulators.broker import CENTER
from hardware.boards.simulated_lines import FileLines
from hardware.interface import Board
from hardware.pick import pick_board
from tests.bench.figures import say
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, make_center, running
from tests.unit.trees.plant import TREES, plant

BAR_PCT = 0.5
STORM_EVENTS, PRESSES = 500, 20
ALL_TREES = tuple(sorted(tree.stem for tree in TREES.glob("*.toml")))


def share_pct(board: Board, looks: int) -> float:
    """Return the share of one core that looking at `board` takes, in per cent."""
    reader = VitalsReader(board, Path.cwd(), SystemClock())
    pids = {"core": os.getpid(), "supervisor": os.getppid()}
    reader.read(pids)  # the first one measures memory, too, which is done once a minute
    began_s = time.process_time()
    for _ in range(looks):
        reader.read(pids)
    return 100 * (time.process_time() - began_s) / looks / LOOK_EVERY_S


async def bell(folder: Path, presses: int) -> list[float]:
    """Return the seconds of each press from its line to the center's store, in a storm."""
    broker = Mosquitto(folder / "broker", [ADDRESS])
    await broker.start()
    center = make_center(folder / "center", broker.settings(CENTER))
    box = Box(folder / "box", broker.settings("box-1"))
    box.db._parts = [*box.db._parts, incidents.PART]
    box.telemetry._period_s = 600
    origin = Origin(ADDRESS.site, ADDRESS.box, 1, lambda: box.outbox.epoch, CapStatus.EXERCISE)
    kept = incidents.Incidents(box.outbox.append_in, origin, box.clock)
    assembler = Assembler(box.db, kept, box.clock, thumbnails=False)
    entry = InputSettings(input_id="bell", meaning=Meaning.BELL, line="bell", active_low=False)
    inputs = Inputs(
        box.clock,
        FileLines(folder / "lines"),
        (entry,),
        lambda signal: assembler.take_contact(signal, None),
    )
    line, times = folder / "lines" / "bell", []
    async with running(center), running(box), asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(inputs.run())
        await box.say()
        await box.all_acknowledged()
        for _ in range(presses):
            storm = tasks.create_task(_storm(box))
            await asyncio.sleep(0.05)  # it has begun
            pressed_at = box.clock.utc_now()
            line.write_text("1")
            await storm
            await box.all_acknowledged()
            await asyncio.sleep(0.1)
            line.write_text("0")
            await asyncio.sleep(0.2)
            await box.all_acknowledged()
            told = await center.events(STORM_EVENTS + 10)
            (call,) = (
                one
                for one in told
                if one.event.data.kind is EventKind.EMERGENCY_BELL
                and one.event.phase is Phase.NEW
                and one.received_at >= pressed_at
            )
            times.append((call.received_at - pressed_at).total_seconds())
        listening.cancel()
    await broker.stop()
    return times


async def _storm(box: Box) -> None:
    for _ in range(STORM_EVENTS):
        await box.say()


@click.command()
@click.option("--looks", type=click.IntRange(1), default=300, show_default=True)
def main(looks: int) -> None:
    bar = f"bar: {BAR_PCT} % of one core"
    say("looking at this machine", f"{share_pct(pick_board(), looks):.3f} %", bar)
    with tempfile.TemporaryDirectory() as folder:
        for name in ALL_TREES:
            board = pick_board(plant(name, Path(folder) / name))
            say(f"looking at the tree {name}", f"{share_pct(board, looks):.3f} %", bar)
        times = asyncio.run(bell(Path(folder), PRESSES))
        p95_s = statistics.quantiles(times, n=20)[-1]
        say("bell to the center's store, p95 in a storm", f"{1000 * p95_s:.0f} ms", "bar: 500 ms")


if __name__ == "__main__":
    main()
