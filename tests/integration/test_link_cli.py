"""`poleside link`: what it says while the agent runs, from a taken disk, and of a bad broker."""

import asyncio
import json
import shutil
import sys

import msgspec

from agent.commands.counter import Counter
from agent.commands.replay import replay
from agent.contract.acks import Ack
from agent.contract.events import Event
from agent.contract.telemetry import DataSample
from agent.core.clock import SystemClock
from agent.local.cli.link import _link_lines
from agent.outbox.replay import Range
from agent.simulators.broker import CENTER
from agent.simulators.center import store
from agent.uplink.link_report import LinkReport, LinkReporter, read_report
from tests.box_process import toml
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, E, U, eventually, make_center, running


async def poleside(*arguments):
    """Run the command line; return (exit code, output)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from agent.local.cli.link import link; link()",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def records_at(center):
    rows = await center._db.run(lambda c: store.newest(c, "edge.event.", 100))
    return [msgspec.json.decode(row.body, type=Event) for row in reversed(rows)]


class BoxWithCounter(Box):
    """With what the core has beside the voice: the counter and the report."""

    def __init__(self, folder, broker):
        super().__init__(folder, broker)
        (folder / "run").mkdir(exist_ok=True)
        self.commands.register("replay", replay(self.outbox), idempotent=True)
        self.counter = Counter(self.clock, self.commands, "box-1", folder / "run")
        self.reporter = LinkReporter(self.clock, self.link, self.sender, folder / "run")

    async def run(self):
        await self.counter.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.counter.run())
            tasks.create_task(self.reporter.run())
            await super().run()


async def test_a_technician_sees_the_link_and_sends_things_again(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    data = ("--data-dir", tmp_path)
    try:
        box = BoxWithCounter(tmp_path, broker.settings("box-1"))
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
            await box.link.connected()
            for _ in range(5):
                await box.say()
            await box.all_acknowledged()
            code, said = await poleside("outbox", *data, "--json")
            events = next(s for s in json.loads(said) if s["stream"] == "e")
            assert (code, events["acked"], events["waiting"], events["kept"]) == (0, 5, 0, 5)

            code, said = await poleside("replay", *data, "--from", "2", "--to", "3")
            assert (code, said.split()[0]) == (0, "2")
            await box.all_acknowledged()
            found = await records_at(center)
            assert [event.historical for event in found] == [False] * 5 + [True] * 2
            assert [event.id for event in found[5:]] == [event.id for event in found[1:3]]
            assert (await box.outbox.counts())[U].acked == 2  # accepted, done: it is audited

            code, said = await poleside("status", *data)
            assert code == 0
            assert "0 waiting" in said
        code, said = await poleside("status", *data, "--json")  # the agent is gone
        assert code == 0
        assert {s["stream"] for s in json.loads(said)["outbox"]} == {"a", "e", "t", "u"}
    finally:
        await broker.stop()


def test_what_a_metered_line_holds_back_and_a_broker_refuses_is_shown(tmp_path):
    now = SystemClock().utc_now()
    data = DataSample(
        month="2026-11", mode="sparing", used_bytes=81_500_000, limit_bytes=100_000_000,
        pictures_held=7, samples_held=30,
    )  # fmt: skip
    report = LinkReport(
        t=now, connected=True, since=now, mqtt="5", refused="Not authorized", data=data
    )
    text = "\n".join(_link_lines(report, "en"))
    assert "MQTT 5" in text
    assert "Not authorized" in text
    assert "2026-11: 81.5 MB of 100, sparing" in text
    assert "7 thumbnails and 30 health samples held back" in text


async def test_the_way_to_the_center_is_tried_in_plain_words(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    config = tmp_path / "box.toml"

    def write(**changes):
        known = msgspec.to_builtins(broker.settings("box-1")) | changes
        told = {key: value for key, value in known.items() if value is not None}
        config.write_text(toml({"data_dir": str(tmp_path), "broker": told}))

    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:

            async def is_there():
                return center.link() == ""

            await eventually(is_there)
            write()
            code, said = await poleside("test", "--config", config, "--json")
            steps = {step["name"]: step["ok"] for step in map(json.loads, said.splitlines())}
            assert steps == dict.fromkeys(("name", "login", "subscribe", "center", "publish"), True)
            assert code == 0

        write(password="wrong")
        code, said = await poleside("test", "--config", config)
        assert code == 1
        assert "does not accept this user and password" in said
        write(urls=["mqtt://127.0.0.1:1"])
        code, said = await poleside("test", "--config", config)
        assert code == 1
        assert "What to do" in said
    finally:
        await broker.stop()


async def test_a_test_beside_the_agent_does_not_cut_it_off(tmp_path):
    """The broker binds client ids to users: a second login would push the agent off."""
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    config = tmp_path / "box.toml"
    known = msgspec.to_builtins(broker.settings("box-1"))
    told = {key: value for key, value in known.items() if value is not None}
    config.write_text(toml({"data_dir": str(tmp_path), "broker": told}))
    try:
        box = BoxWithCounter(tmp_path, broker.settings("box-1"))
        async with running(make_center(tmp_path, broker.settings(CENTER))), running(box):
            await box.link.connected()
            await box.say()
            await box.all_acknowledged()
            box.reporter._path.unlink(missing_ok=True)

            async def is_told():
                report = read_report(tmp_path / "run")
                return report is not None and report.connected and report.ack_ms is not None

            await eventually(is_told)
            code, said = await poleside("test", "--config", config, "--json")
            steps = {step["name"]: step["ok"] for step in map(json.loads, said.splitlines())}
            names = ("name", "reach", "login", "subscribe", "center", "publish")
            assert steps == dict.fromkeys(names, True)
            assert code == 0
            assert box.link.status.connects_total == 1
            await poleside("test", "--config", config, "--connect")  # the control
            assert box.link.status.connects_total > 1 or not box.link.status.connected
    finally:
        await broker.stop()


async def test_records_are_replayed_by_their_time_and_copies_are_not_copied(tmp_path):
    box = Box(tmp_path, Mosquitto(tmp_path / "broker", [ADDRESS]).settings("box-1"))
    await box.open()
    for _ in range(3):
        await box.say()
    await box.outbox.acknowledge({E: Ack(upto=3, epoch=box.outbox.epoch)})
    records = await box.outbox.read(E, 0, 10, 100_000)
    at = msgspec.json.decode(records[1].body, type=Event).time
    assert await box.outbox.replay(Range(E, since=at, until=at)) == 1
    (copy,) = await box.outbox.read(E, 3, 10, 100_000)
    event = msgspec.json.decode(copy.body, type=Event)
    assert (event.seq, event.historical, event.time) == (4, True, at)
    await box.outbox.acknowledge({E: Ack(upto=4, epoch=box.outbox.epoch)})
    assert await box.outbox.replay(Range(E, 4, 9)) == 1
    await box.db.stop()


async def test_a_disk_that_lied_costs_nothing_though_the_box_restarted_offline(tmp_path):
    """Rows that the center has vanish; two boots offline give their numbers to other records."""
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    folder, lost = tmp_path / "box", tmp_path / "kept"
    said = []

    async def say(box, *names):
        said.extend(names)
        for name in names:
            await box.say(event_id=name)

    async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
        async with running(Box(folder, broker.settings("box-1"))) as box:
            await say(box, "a", "b")
            await box.all_acknowledged()
        shutil.copytree(folder, lost)
        async with running(Box(folder, broker.settings("box-1"))) as box:
            await say(box, "c", "d", "e", "f")
            await box.all_acknowledged()
        shutil.rmtree(folder)
        lost.rename(folder)  # what was flushed is not there
        for boot, names in ((2, ("g", "h")), (3, ("i",)), (4, ("j", "k", "l"))):
            box = Box(folder, broker.settings("box-1"), boot=boot)
            await box.open()
            await say(box, *names)
            await box.db.stop()
        async with running(Box(folder, broker.settings("box-1"), boot=5)) as box:
            await box.all_acknowledged()
        stored = [event.id for event in await records_at(center)]
    await broker.stop()
    assert sorted(stored) == sorted(said)


async def test_numbers_used_twice_after_a_disk_lied_are_told_under_new_ones(tmp_path):
    """The center knows other records under these numbers: a power cut took them from our disk."""
    box = Box(tmp_path, Mosquitto(tmp_path / "broker", [ADDRESS]).settings("box-1"), boot=2)
    await box.open()
    for name in ("x", "y"):
        await box.say(event_id=name)
    epoch = box.outbox.epoch
    marks = await box.outbox.acknowledge({E: Ack(upto=5, epoch=epoch, id="gone")})
    assert marks[E] == 5
    again = await box.outbox.read(E, 5, 10, 100_000)
    found = [msgspec.json.decode(record.body, type=Event) for record in again]
    assert [(event.id, event.seq) for event in found] == [("x", 6), ("y", 7)]

    await box.outbox.acknowledge({E: Ack(upto=6, epoch=epoch, id="not-x")})
    again = await box.outbox.read(E, 7, 10, 100_000)
    assert [msgspec.json.decode(record.body, type=Event).id for record in again] == ["x"]
    await box.outbox.acknowledge({E: Ack(upto=8, epoch=epoch, id="x")})
    assert not await box.outbox.read(E, 8, 10, 100_000)
    await box.db.stop()
