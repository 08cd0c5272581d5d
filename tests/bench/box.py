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

from agent.app.pole_desk import PoleDesk
from agent.app.watch import LOOK_EVERY_S
from agent.app.worker_hub import WorkerHub
from agent.contract.events import CapStatus, EventKind, Phase
from agent.core import framing
from agent.core.clock import SystemClock
from agent.events import incidents
from agent.events.assembler import Assembler
from agent.events.telling import Origin
from agent.health.vitals import VitalsReader
from agent.messages import worker
from agent.settings.pole import InputSettings, Meaning, PoleSettings
from agent.simulators.broker import CENTER
from hardware.boards import simulated
from hardware.interface import Board
from hardware.pick import pick_board
from tests.bench.figures import say
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, make_center, running
from tests.unit.trees.plant import TREES, plant

BAR_PCT = 0.5
STORM_EVENTS, PRESSES = 500, 20
CAMERA, ANSWERS, HANGS = "gate", "answers", "hangs"
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


async def bell(folder: Path, presses: int, camera: str) -> list[float]:
    """Return the seconds of each press from its line to the center's store, in a storm."""
    broker = Mosquitto(folder / "broker", [ADDRESS])
    await broker.start()
    center = make_center(folder / "center", broker.settings(CENTER))
    box = Box(folder / "box", broker.settings("box-1"))
    box.db._parts = [*box.db._parts, incidents.PART]
    box.telemetry._period_s = 600
    origin = Origin(ADDRESS.site, ADDRESS.box, 1, lambda: box.outbox.epoch, CapStatus.EXERCISE)
    kept = incidents.Incidents(box.outbox.append_in, origin, box.clock)
    assembler = Assembler(box.db, kept, box.clock, thumbnails=True)
    hub = WorkerHub(folder / "core.sock", box.clock, assembler.take, assembler.saw)
    came = asyncio.Event()

    async def on_worker(_: str) -> None:
        came.set()

    hub.on_worker = on_worker
    board = simulated.build(lines_folder=folder / "lines")
    desk = PoleDesk(_pole(camera), board, hub, assembler.take_contact, folder, box.clock)
    line, times = folder / "lines" / "bell", []
    async with running(center), running(box), asyncio.TaskGroup() as tasks:
        parts = [tasks.create_task(part.run()) for part in (hub, *desk.components)]
        await box.say()
        await box.all_acknowledged()
        if camera:
            parts.append(tasks.create_task(_worker(folder / "core.sock", camera)))
            await asyncio.wait_for(came.wait(), timeout=10)
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
            assert (call.event.data.picture is not None) is (camera == ANSWERS)
            times.append((call.received_at - pressed_at).total_seconds())
        for part in parts:
            part.cancel()
    await broker.stop()
    return times


def _pole(camera: str) -> PoleSettings:
    entry = InputSettings(
        input_id="bell",
        meaning=Meaning.BELL,
        line="bell",
        active_low=False,
        camera_id=CAMERA if camera else "",
    )
    return PoleSettings(inputs=(entry,))


async def _worker(path: Path, camera: str) -> None:
    """Stand for a camera's worker: tell its state; answer with the largest thumbnail, or never."""
    reader, writer = await asyncio.open_unix_connection(path)
    await framing.write_frame(writer, worker.encode(worker.Hello(camera_id=CAMERA, pid=1)))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_tell_state(writer))
        await _answer(reader, writer, camera)


async def _tell_state(writer: asyncio.StreamWriter) -> None:
    now = SystemClock().utc_now()
    state = worker.CameraStatus(
        camera_id=CAMERA,
        main=worker.StreamStatus(name="main", state=worker.CameraState.ONLINE, since=now),
        sub=None,
        recording=worker.RecordingStatus(recording=True),
        detection=worker.DetectionStatus(state="off", since=now),
    )
    while True:
        await framing.write_frame(writer, worker.encode(state))
        await asyncio.sleep(3.0)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, camera: str) -> None:
    while (payload := await framing.read_frame(reader)) is not None:
        order = worker.decode_to_worker(payload)
        if camera == ANSWERS and isinstance(order, worker.TakePicture):
            reply = worker.PictureReply(
                request_id=order.request_id,
                jpeg=os.urandom(order.max_bytes),
                width_px=order.max_width_px,
                height_px=270,
                taken_at=SystemClock().utc_now(),
            )
            await framing.write_frame(writer, worker.encode(reply))


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
        for camera in ("", ANSWERS, HANGS):
            (place := Path(folder) / f"bell-{camera}").mkdir()
            times = asyncio.run(bell(place, PRESSES, camera))
            p95_s = statistics.quantiles(times, n=20)[-1]
            whose = f"with a camera that {camera}" if camera else "without a camera"
            what = f"bell {whose} to the center's store, p95 in a storm"
            say(what, f"{1000 * p95_s:.0f} ms", "bar: 500 ms")


if __name__ == "__main__":
    main()
