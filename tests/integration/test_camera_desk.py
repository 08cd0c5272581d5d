"""The core keeps hold of its cameras: hears them, finds them again, sees an exchange."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app.camera_desk import CameraDesk
from agent.app.camera_search import CameraSearch
from agent.app.worker_hub import WorkerHub
from agent.cameras import memory
from agent.commands.relay import RelayHandler
from agent.contract.commands import Actor, Command, Relay
from agent.contract.events import Source
from agent.core import framing
from agent.core.clock import SystemClock
from agent.core.errors import CameraError, CommandError
from agent.core.ids import new_ulid
from agent.messages import worker
from agent.messages.pole import ContactState
from agent.messages.vision import HitState
from agent.messages.worker import CameraState
from agent.pole.heard_bells import HeardBells
from agent.settings.camera_io import CameraRelay
from agent.settings.model import CameraSettings
from agent.simulators.camera.onvif_events import DIGITAL_INPUT, MOTION
from tests.simulated_onvif import PASSWORD, USERNAME, eventually, running_camera

_LINE = "tns1:RuleEngine/LineDetector/Crossed"


class _Told:
    """Where hits and bell calls go."""

    def __init__(self) -> None:
        self.hits, self.bells = [], []

    async def hit(self, hit) -> None:
        self.hits.append(hit)

    async def bell(self, signal) -> None:
        self.bells.append(signal)


@asynccontextmanager
async def _desk(camera: CameraSettings, folder: Path, told: _Told, port: int):
    clock = SystemClock()

    async def nothing(_: object) -> None: ...

    hub = WorkerHub(folder / "core.sock", clock, nothing, lambda _: None)
    bells = HeardBells(clock, told.bell)
    search = CameraSearch(clock, interfaces=lambda: ("127.0.0.1",), port=port)
    desk = CameraDesk(
        (camera,),
        hub,
        clock,
        data_dir=folder,
        take=told.hit,
        bells=bells,
        search=search,
    )
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (desk, bells)]
        try:
            yield desk
        finally:
            for task in running:
                task.cancel()
            await desk.stop()


async def _order_relay(desk: CameraDesk, **args) -> dict[str, object]:
    """Do what the center's signed order `relay` does once it is let in."""
    now = SystemClock().utc_now()
    at = int(now.timestamp())
    command = Command(
        id=new_ulid(now),
        args=Relay(camera_id="gate", relay="relay-1", **args),
        box="box-1",
        by=Actor(user="operator"),
        iat=at,
        nbf=at,
        exp=at + 30,
        iss="center",
    )

    async def progress(text: str, result: dict[str, object] | None = None) -> None: ...

    return await RelayHandler(desk.relays)(command, progress)


def _settings(device, **others) -> CameraSettings:
    return CameraSettings(
        camera_id="gate", onvif_url=device.url, username=USERNAME, password=PASSWORD, **others
    )


@pytest.fixture
def told() -> _Told:
    return _Told()


async def test_events_become_hits_and_bell_calls(tmp_path, told, unused_tcp_port):
    async with (
        running_camera() as device,
        _desk(_settings(device, bell_inputs=("1",)), tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
        device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "false"})
        device.fire(_LINE, {"Rule": "kerb"}, {"ObjectId": "7"})
        device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})

        await eventually(lambda: len(told.bells) == 2 and told.hits)
        pressed, released = told.bells
        assert (pressed.state, released.state) == (ContactState.ACTIVE, ContactState.IDLE)
        assert pressed.press_id == released.press_id
        assert pressed.camera_id == "gate"
        hit = told.hits[0]
        assert (hit.source, hit.state, hit.rule_id) == (
            Source.CAMERA,
            HitState.BEGAN,
            "line-crossing-kerb",
        )
        assert "ObjectId=7" in hit.detail
        await eventually(lambda: told.hits[-1].state is HitState.ENDED)
        assert all(h.rule_id == "line-crossing-kerb" for h in told.hits)  # motion is no alarm


async def test_a_bell_that_is_held_when_the_box_starts_is_a_call(tmp_path, told, unused_tcp_port):
    async with running_camera() as device:
        device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
        settings = _settings(device, bell_inputs=("1",))
        async with _desk(settings, tmp_path, told, unused_tcp_port):
            await eventually(lambda: told.bells)
            assert told.bells[0].state is ContactState.ACTIVE


@pytest.mark.parametrize("bells", [{}, {"bell_inputs": ("1",)}, {"bell_closed_inputs": {"1": "2"}}])
async def test_no_bell_hangs_on_how_a_camera_reads_a_filter(tmp_path, told, unused_tcp_port, bells):
    async with (
        running_camera(tells_echoes=True) as device,
        _desk(_settings(device, **bells), tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        (point,) = device.events.points.values()
        assert bool(point.roots) is not bool(bells)


async def test_another_camera_at_the_same_address_is_heard_anew(tmp_path, told, unused_tcp_port):
    async with (
        running_camera() as device,
        _desk(_settings(device), tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        ears, place = desk.ears("gate"), desk._places["gate"]
        place.facts = replace(place.facts, device=replace(place.facts.device, serial="other"))
        await eventually(lambda: desk.ears("gate") is not ears)
        await eventually(lambda: desk.ears("gate").status.is_live)


async def test_a_camera_that_moves_is_found_again_and_heard(tmp_path, told, unused_tcp_port):
    async with (
        running_camera(discovery_port=unused_tcp_port) as device,
        _desk(_settings(device), tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        before = device.url

        device.reboot(0.5, moves=True)

        await eventually(lambda: device.url != before and desk.gate("gate"))
        await eventually(lambda: memory.load(tmp_path, "gate").url == device.url, within_s=60)
        await eventually(lambda: desk.facts("gate").code is None)
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        device.fire(_LINE, {"Rule": "kerb"}, {"ObjectId": "8"})
        await eventually(lambda: told.hits)
        assert len(device.events.points) == 1
        assert desk.facts("gate").code is None


async def test_in_doubt_no_secret_is_sent(tmp_path, told, unused_tcp_port):
    async with running_camera(discovery_port=unused_tcp_port) as device:
        settings = _settings(device)
        async with _desk(settings, tmp_path, told, unused_tcp_port) as desk:
            await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
    # Something with the same model name and another MAC answers the search.
    other = {"serial": "SIM-0099", "mac": "02:00:5e:00:00:99"}
    async with (
        running_camera(discovery_port=unused_tcp_port, **other) as stranger,
        _desk(settings, tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (f := desk.facts("gate")) and f.code == "camera.unreachable")
        await asyncio.sleep(4.0)
        assert not stranger.calls
        assert desk.facts("gate").device is None


async def test_another_camera_in_its_place_keeps_the_id_and_puts_the_calibration_in_doubt(
    tmp_path, told, unused_tcp_port, unused_tcp_port_factory
):
    port = unused_tcp_port_factory()
    async with running_camera(port=port) as device:
        settings = _settings(device)
        async with _desk(settings, tmp_path, told, unused_tcp_port) as desk:
            await eventually(lambda: desk.facts("gate").device)
            assert not desk.facts("gate").is_exchanged
    new = {"serial": "SIM-0002", "mac": "02:00:5e:00:00:02", "name": "Newer"}
    async with (
        running_camera(port=port, **new),
        _desk(settings, tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: desk.facts("gate").code == "camera.stranger")
        desk.accept("gate")
        await eventually(lambda: desk.facts("gate").device)
        assert desk.facts("gate").is_exchanged
        kept = memory.load(tmp_path, "gate")
        assert (kept.identity.serial, kept.successor.serial) == ("SIM-0001", "SIM-0002")
        desk.accept("gate")
        await eventually(lambda: not desk.facts("gate").is_exchanged)
        kept = memory.load(tmp_path, "gate")
        assert (kept.identity.serial, kept.successor) == ("SIM-0002", None)


async def test_a_subscription_left_by_a_crash_is_closed(tmp_path, told, unused_tcp_port):
    async with running_camera() as device:
        settings = _settings(device)
        async with _desk(settings, tmp_path, told, unused_tcp_port) as desk:
            await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
            left = memory.load(tmp_path, "gate")
            assert left.subscription is not None
        await eventually(lambda: not device.events.points)
        device.events.subscribe(device.now(), 60.0)  # as if nobody had closed it
        again = left.subscription.url.rpartition("/")[0] + f"/{next(iter(device.events.points))}"
        memory.save(
            tmp_path,
            "gate",
            memory.CameraMemory(
                identity=left.identity,
                subscription=memory.Reference(url=again, until=left.subscription.until),
            ),
        )
        async with _desk(settings, tmp_path, told, unused_tcp_port) as desk:
            await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
            await eventually(lambda: len(device.events.points) == 1)


async def test_relays_keep_to_their_list_their_time_and_their_safe_state(
    tmp_path, told, unused_tcp_port
):
    allowed = CameraRelay(token="relay-1", max_on_s=60.0)
    async with running_camera() as device:
        device.system.board.active["relay-1"] = True  # left on by whoever was here before
        async with _desk(
            _settings(device, relays=(allowed,)), tmp_path, told, unused_tcp_port
        ) as desk:
            await eventually(lambda: device.system.board.switched)
            assert device.system.board.active["relay-1"] is False
            guard = desk.relays("gate")
            for token, seconds, code in (
                ("relay-2", 1.0, "relay.not_allowed"),
                ("relay-1", 61.0, "relay.too_long"),
            ):
                with pytest.raises(CommandError) as refused:
                    await asyncio.to_thread(guard.pulse, token, seconds)
                assert refused.value.code == code
            await asyncio.to_thread(guard.pulse, "relay-1", 0.3)
            assert device.system.board.active["relay-1"] is True
            await eventually(lambda: not device.system.board.active["relay-1"])
            reply = await _order_relay(desk, on=True, for_s=2.0)
            assert 0 < reply["left_s"] <= 2.0
            assert device.system.board.active["relay-1"] is True
            assert (await _order_relay(desk, on=False))["left_s"] == 0.0
            assert device.system.board.active["relay-1"] is False
            await _order_relay(desk, on=True, for_s=2.0)
        assert device.system.board.active["relay-1"] is False  # safe when we go


async def test_a_relay_switched_on_by_an_answer_that_got_lost_is_switched_off(
    tmp_path, told, unused_tcp_port
):
    allowed = CameraRelay(token="relay-1", max_on_s=5.0)
    async with (
        running_camera() as device,
        _desk(_settings(device, relays=(allowed,)), tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: device.system.board.switched)
        guard = desk.relays("gate")
        device.faults.fault_status = 500
        with pytest.raises(CameraError):
            await asyncio.to_thread(guard.pulse, "relay-1", 0.2)
        device.system.board.switch("relay-1", active=True)
        device.faults.fault_status = 0
        await eventually(lambda: not device.system.board.active["relay-1"])


async def test_a_camera_that_was_taken_out_is_no_twin_of_one_that_comes(
    tmp_path, told, unused_tcp_port
):
    async with (
        running_camera() as device,
        _desk(_settings(device), tmp_path, told, unused_tcp_port) as desk,
    ):
        await eventually(lambda: desk.facts("gate").device)
        assert "gate" in desk._search._live
        desk.use(())
        await eventually(lambda: "gate" not in desk._search._live)


async def test_a_technician_s_word_lets_in_who_is_kept_out_and_cuts_no_stream(tmp_path):
    """A camera without ONVIF; its worker is on the line."""
    clock = SystemClock()

    async def nothing(_: object) -> None: ...

    statuses = []
    hub = WorkerHub(tmp_path / "core.sock", clock, nothing, statuses.append)
    plain = CameraSettings(camera_id="gate", main_url="rtsp://127.0.0.1/main")
    desk = CameraDesk((plain,), hub, clock, data_dir=tmp_path)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (desk, hub)]
        await eventually((tmp_path / "core.sock").exists)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "core.sock")
        await framing.write_frame(writer, worker.encode(worker.Hello(camera_id="gate", pid=1)))
        for state in (CameraState.ONLINE, CameraState.LOST):
            await framing.write_frame(writer, worker.encode(_status(clock, state)))
            await eventually(lambda s=state: statuses and statuses[-1].main.state is s)
            desk.accept("gate")
            await eventually(lambda: not desk._accepted)
        word = worker.decode_to_worker(await framing.read_frame(reader))
        assert word == worker.Recognised(host="", word=worker.Word.ACCEPTED)
        await hub.restart_streams("gate")  # what comes next, if there was but one word
        told = worker.decode_to_worker(await framing.read_frame(reader))
        assert isinstance(told, worker.RestartStreams)
        writer.close()
        await writer.wait_closed()
        for task in running:
            task.cancel()


def _status(clock: SystemClock, state: CameraState) -> worker.CameraStatus:
    now = clock.utc_now()
    return worker.CameraStatus(
        camera_id="gate",
        main=worker.StreamStatus(name="main", state=state, since=now),
        sub=None,
        recording=worker.RecordingStatus(recording=False),
        detection=worker.DetectionStatus(state="off", since=now),
    )
