"""What can be done to a box's voice: each scenario does its worst and returns when all is told.

A scenario is given a `Trial` on a stage (a running broker of some kind, further below).
"""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from agent.core.clock import SystemClock
from agent.enrol.renewal import CertificateRenewal
from agent.simulators.broker import CENTER
from agent.simulators.center.enrolment import Registrar
from tests.brokers import RABBITMQ, Mosquitto, NatsCluster, RabbitMq
from tests.certificates import write_certificate
from tests.enrolling import NewBox, TlsMosquitto, enrolment_service
from tests.faults.crash_lab.disk import tmpfs
from tests.faults.trial import Trial
from tests.slow_link import SlowLink
from tests.spine import ADDRESS, E, eventually, visit
from tests.voice_process import AgedClock

DAY_S = 86_400.0


async def broker_ends_twice(trial, number):
    async with trial.center(), trial.box() as box:
        for _ in range(2):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(trial.say(box, trial.count // 2, 0.001))
                await asyncio.sleep(0.1)
                await trial.broker._end(number)
                await asyncio.sleep(0.1)
                await trial.broker.start()
                await box.link.connected()
        await box.all_acknowledged()
        trial.seen = f"connected {box.link.status.connects_total} times"


async def broker_is_killed_twice(trial):
    await broker_ends_twice(trial, signal.SIGKILL)


async def broker_is_stopped_twice(trial):
    await broker_ends_twice(trial, signal.SIGTERM)


async def connection_is_half_open(trial):
    async with trial.center(), trial.box(trial.settings(publish_timeout_s=1.0)) as box:
        await trial.say(box, trial.count // 2)
        trial.broker.pause()
        await trial.say(box, trial.count // 2)

        async def is_noticed():
            return not box.link.status.connected

        await eventually(is_noticed)
        trial.seen = f"noticed: {box.link.status.error.code}"
        trial.broker.resume()
        await box.all_acknowledged()


async def center_away_and_broker_killed(trial):
    """The broker has PUBACKed all it holds in memory, and dies with it."""
    await visit(trial.folder, trial.broker.settings(CENTER))
    async with trial.box(knows_center=False) as box:
        await trial.say(box)
        await trial.published(box)
        published = sum(p.sent - p.acked for p in box.sender._positions.values())
        await trial.broker.kill()
        await trial.broker.start()
        async with trial.center():
            await box.all_acknowledged()
            trial.seen = f"published {published}, of which the broker kept {trial.came_again()}"


async def center_away_and_queue_too_short(trial):
    """The broker PUBACKs what finds no room in its queue for the center, and drops it.

    Alarms go one a message, so that the messages outnumber the queue.
    """
    await visit(trial.folder, trial.broker.settings(CENTER))
    async with trial.box(knows_center=False) as box:
        await trial.say(box, alarms=0.5)
        await trial.published(box)
        dropped = await trial.broker.dropped()
        trial.seen = f"PUBACKed, then dropped by the broker: {dropped} messages"
        assert dropped > 0
        async with trial.center():
            await box.all_acknowledged()


async def node_is_killed(trial, whose):
    """Kill the node that `whose` (box or center) is connected to, in the middle of the talk."""
    one_node = msgspec.structs.replace(
        trial.broker.settings(CENTER), urls=trial.broker.settings(CENTER).urls[:1]
    )
    async with trial.center(one_node if whose == "center" else None), trial.box() as box:
        await trial.say(box, trial.count // 2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(trial.say(box, trial.count // 2, 0.005))
            await asyncio.sleep(0.2)
            await box.link.connected()
            number = 0 if whose == "center" else trial.broker.node_of(box.link.status.endpoint)
            connects = box.link.status.connects_total
            await trial.broker.nodes[number].kill()
        if whose == "center":
            await trial.broker.start_node(number)
        await box.all_acknowledged()
        trial.seen = f"node {number} killed, {len(trial.said)} said over it"
        assert whose == "center" or box.link.status.connects_total > connects


async def node_of_the_box_is_killed(trial):
    await node_is_killed(trial, "box")


async def node_of_the_center_is_killed(trial):
    await node_is_killed(trial, "center")


async def center_away_and_node_killed(trial):
    await visit(trial.folder, trial.broker.settings(CENTER))
    async with trial.box(knows_center=False) as box:
        await trial.say(box)
        await trial.published(box)
        await trial.broker.nodes[0].kill()
        async with trial.center():
            await box.all_acknowledged()
            trial.seen = f"with one node of three dead, {trial.came_again()} came twice"


async def voice_killed(trial, *, settings, boot=1, aged_s=0.0, events):
    """Run the box's voice as a process and kill -9 it after so many events."""
    arguments = [trial.folder / "box", msgspec.json.encode(settings).decode(), boot, aged_s, 0.001]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.voice_process",
        *map(str, arguments),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    lines = [await process.stdout.readline() for _ in range(events)]
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    trial.said += [line.decode().strip() for line in lines if line.endswith(b"\n")]


async def box_is_killed_again_and_again(trial):
    async with trial.center():
        for _ in range(5):
            await voice_killed(trial, settings=trial.settings(), events=trial.count // 5)
        async with trial.box() as box:
            waiting = (await box.outbox.sample()).waiting
            await box.all_acknowledged()
            trial.seen = f"5 kills, {waiting} waited on the disk"


async def fifteen_days_offline_with_twenty_kills(trial):
    """Nobody answers all that time; each kill is real, the box's clocks begin 15 days ago.

    What the center had acknowledged before grows too old meanwhile and is dropped; what waits
    is kept however old it is.
    """
    nowhere, count = trial.settings(urls=("mqtt://127.0.0.1:1",)), trial.count // 20
    async with trial.center(), trial.box(clock=AgedClock(-15 * DAY_S)) as box:
        await trial.say(box, count)
        await box.all_acknowledged()
    for number in range(20):
        await voice_killed(
            trial,
            settings=nowhere,
            boot=2 + number // 4,  # every fourth is a reboot
            aged_s=-15 * DAY_S * (1 - number / 20),
            events=count,
        )
    async with trial.center(), trial.box(boot=8) as box:
        waiting = (await box.outbox.sample()).waiting
        assert waiting >= 20 * count
        await box.all_acknowledged()
        kept = await box.outbox.deliveries(E)
        assert len({one.boot for one in kept}) > 1
        assert 1 not in {one.boot for one in kept}, "acknowledged 15 days ago"
        days = trial.days_spanned()
        assert days > 14
        trial.seen = f"{waiting} waited, of {days:.1f} days, over 20 kills and 6 boots"


async def disk_is_full(trial):
    """Somebody else takes the disk's last byte while the box talks and is acknowledged."""
    with tmpfs(trial.folder / "small", "size=6m") as disk:
        async with trial.center(), trial.box(folder=disk) as box:
            await trial.say(box, trial.count // 3)
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                facts = os.statvfs(disk)
                os.posix_fallocate(file.fileno(), 0, facts.f_bavail * facts.f_frsize)
            while not trial.refused:
                await trial.say(box, 20)
            trial.seen = f"refused {len(trial.refused)}, then said again"
            ballast.unlink()
            await trial.say_again(box)
            assert not trial.refused
            await trial.say(box, trial.count // 3)
            await box.all_acknowledged()


async def line_is_slow_and_cut(trial):
    """A cell at its edge: some kB/s, and twice gone."""
    async with SlowLink(trial.broker.port, 20_000) as line, trial.center():
        settings = trial.settings(urls=(f"mqtt://127.0.0.1:{line.port}",))
        async with trial.box(settings) as box:
            for _ in range(2):
                await trial.say(box, trial.count // 6)
                await asyncio.sleep(0.3)
                line.cut()
            await box.all_acknowledged()
            times = box.link.status.connects_total
            trial.seen = f"{line.carried_bytes // 1000} kB at 20 kB/s, connected {times} times"
            assert times > 2


async def refused_with(box, code):
    """Wait until the box's link says so."""

    async def is_refused():
        error = box.link.status.error
        return error is not None and error.code == code

    await eventually(is_refused)


async def certificate_of_the_broker_expires(trial):
    """The box does not speak to a broker whose certificate is over, and loses nothing by it."""
    async with trial.center(over_tls(trial, "center")), trial.box(over_tls(trial, "box-1")) as box:
        await trial.say(box, trial.count // 2)
        await box.all_acknowledged()
        await trial.broker.stop()
        write_certificate(trial.folder, "broker", trial.ca, expired=True)
        await trial.broker.start()
        await trial.say(box, trial.count // 2)
        await refused_with(box, "link.tls")
        trial.seen = f"refused: link.tls, {(await box.outbox.sample()).waiting} waited"
        write_certificate(trial.folder, "broker", trial.ca)
        await trial.broker.stop()
        await trial.broker.start()
        await box.all_acknowledged()


async def certificate_of_the_box_expires(trial):
    """It runs out while the box is offline; the broker refuses it; the box renews it by its key."""
    data_dir, city = trial.folder / "enrolled", trial.city
    async with enrolment_service(city) as url, trial.center(trial.broker.center(city)):
        new = NewBox(data_dir, url, city.new_code(ADDRESS.box), city)
        enrolling = asyncio.ensure_future(new.enrol(60.0))

        async def has_asked():
            return any(box.state == "asks" for box in city.boxes())

        await eventually(has_asked)
        city.approve(ADDRESS.box, ADDRESS.site)
        await enrolling
        async with trial.box(new.broker()) as box:
            await trial.say(box, trial.count // 2)
            await box.all_acknowledged()
            await trial.broker.stop()
            await trial.say(box, trial.count // 2)
            key = load_pem_x509_certificate(new.files.certificate.read_bytes()).public_key()
            over = city.authority.issue_box(key, ADDRESS.box, timedelta(seconds=-1))
            new.files.certificate.write_bytes(over.public_bytes(Encoding.PEM))
            await trial.broker.start(city)
            await refused_with(box, "link.certificate_refused")
            trial.seen = f"refused, {(await box.outbox.sample()).waiting} waited; then renewed"
            renewal = CertificateRenewal(box.clock, data_dir)
            assert await asyncio.to_thread(renewal.look)
            await box.all_acknowledged()


def over_tls(trial, name):
    return msgspec.structs.replace(
        trial.broker.settings(CENTER if name == "center" else name),
        urls=(f"mqtts://localhost:{trial.broker.port}",),
        ca_file=str(trial.folder / "ca.pem"),
        cert_file=str(trial.folder / f"{name}.pem"),
        key_file=str(trial.folder / f"{name}.key"),
    )


@asynccontextmanager
async def on_mosquitto(folder, count, extra="", changes=()):
    broker = Mosquitto(folder / "broker", [ADDRESS], extra, changes)
    await broker.start()
    yield Trial(folder, broker, count)
    await broker.stop()


@asynccontextmanager
async def on_a_short_queue(folder, count):
    """Mosquitto's default of 1,000 in the long form."""
    changes = {"max_queued_messages 0": f"max_queued_messages {min(1000, count // 10)}"}
    async with on_mosquitto(folder, count, "sys_interval 1", changes) as trial:
        trial.broker.admit_watcher()
        yield trial


@asynccontextmanager
async def on_a_city_that_enrols(folder, count):
    """The shipped mosquitto, every box with a certificate of the center's own authority."""
    broker = TlsMosquitto(folder / "broker")
    city = Registrar(folder / "city", SystemClock(), (broker.url,))
    await broker.start(city)
    trial = Trial(folder, broker, count)
    trial.city = city
    yield trial
    await broker.stop()


@asynccontextmanager
async def on_tls(folder, count):
    ca = write_certificate(folder, "ca")
    for name in ("broker", "box-1", "center"):
        write_certificate(folder, name, ca)
    extra = (
        f"cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
        "require_certificate true\n"
    )
    async with on_mosquitto(folder, count, extra) as trial:
        trial.ca = ca
        yield trial


@asynccontextmanager
async def on_nats(folder, count):
    cluster = NatsCluster(folder / "cluster", [ADDRESS])
    await cluster.start()
    yield Trial(folder, cluster, count)
    await cluster.stop()


@asynccontextmanager
async def on_rabbitmq(folder, count):
    if not RABBITMQ.exists():
        pytest.skip("rabbitmq-server is not installed")
    broker = RabbitMq(folder / "broker", [ADDRESS])
    await broker.start()
    yield Trial(folder, broker, count)
    await broker.stop()
