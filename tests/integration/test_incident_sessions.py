"""One signed word to the district: each box finds its cameras and calls up who is needed.

Two boxes, four simulated PTZ cameras along a road, a broker and a center; of the boxes' workers
only what they are asked for is noted. The walk past all cameras, with whole boxes and true
pictures, is in tests/faults/test_walk_past_four_cameras.py.
"""

import asyncio
import base64
import json
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, timedelta

import pytest
from click.testing import CliRunner
from msgspec import structs

from agent.cameras.gate import CameraGate
from agent.cameras.zeep_backend import ZeepCamera
from agent.commands import incident_session, incident_store, incidents
from agent.commands.aim import Aimer
from agent.commands.incidents import Hands, IncidentSessions, read_sessions
from agent.contract.audit import AuditEntry
from agent.contract.commands import Actor, ReplyState
from agent.contract.events import CapStatus
from agent.contract.grants import MediaGrant, Sink, StandingPolicy, What
from agent.contract.incidents import IncidentCall
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.core.errors import CameraError
from agent.core.ids import new_ulid
from agent.grants.book import Grants
from agent.grants.policies import Policies
from agent.local.cli.center_incident import incident
from agent.messages.locking import LockReply, LockSpan, Unlock
from agent.messages.push import PushState, StopPush
from agent.messages.worker import PictureReply
from agent.outbox.audit import Audit
from agent.pointing.geodesy import Place, moved
from agent.settings.model import CameraSettings
from agent.settings.stand import StandSettings
from agent.simulators.broker import CENTER
from agent.simulators.camera.onvif_settings import SimulatedPlace
from agent.simulators.center.commander import public_keys_file, sign
from tests.brokers import Mosquitto
from tests.simulated_onvif import LOGIN, running_camera
from tests.spine import Box, eventually, make_center, running

CLOCK = SystemClock()
BOXES = (BoxAddress("site-1", "box-1"), BoxAddress("site-1", "box-2"))
START = Place(37.5665, 126.9780, 40.0)  # the west end of a road that goes east
APART_M, RANGE_M = 40.0, 24.0
CAMERAS = ("west", "middle", "east", "far")  # two of each box
KIM = Actor(user="kim", agency="119")


def at(east_m, north_m=0.0):
    return moved(START, east_m, north_m, 40.0)


def camera_east_m(camera_id):
    return CAMERAS.index(camera_id) * APART_M


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What sessions wait for by themselves comes sooner."""
    monkeypatch.setattr(incident_session, "_AGAIN_S", 0.3)
    monkeypatch.setattr(incident_session, "LINGER_S", 1.0)


class Workers:
    """The cameras' workers, as far as sessions ask them."""

    def __init__(self):
        self.locks, self.pushes, self.grants = [], {}, None
        self.pictures = {}  # by camera: what it sees
        self.are_away = False

    async def order_lock(self, camera_id, order):
        if self.are_away:
            raise CameraError("camera.worker_silent", "its process begins anew")
        self.locks.append((camera_id, order))
        return LockReply(request_id=order.request_id)

    async def picture(self, camera_id, *_):
        if camera_id not in self.pictures:
            raise CameraError("camera.no_picture", "none here")
        return PictureReply(
            request_id=1,
            taken_at=CLOCK.utc_now(),
            taken_mono_s=CLOCK.monotonic_s() - 2.0,
            width_px=320,
            height_px=180,
            jpeg=self.pictures[camera_id],
        )

    async def send(self, camera_id, order):
        if isinstance(order, StopPush):
            self.pushes.pop(camera_id, None)
            await self.grants.told(PushState(push_id=order.push_id, ended=True))
        else:
            self.pushes[camera_id] = order

    def shows(self, camera_id):
        return camera_id in self.pushes


class Pole:
    """A box with its cameras, wired as the core wires them."""

    def __init__(self, box, address, cameras, devices, workers):
        self.box, self.cameras, self.devices, self.workers = box, cameras, devices, workers
        self.audited = []
        audit = Audit(box.outbox, CLOCK, address.source)
        self.grants = Grants(CLOCK, box.db, audit.append_in, lambda: cameras, self.workers.send)
        self.workers.grants = self.grants
        self.policies = Policies(CLOCK, box.db, self.grants, address.box, UTC)
        aimer = Aimer(lambda camera_id: box.gates[camera_id], [settings(c) for c in cameras])
        self.sessions = IncidentSessions(
            CLOCK,
            box.commands._signatures,
            address,
            Hands(box.leases, aimer, self.workers, self.grants, self.policies),
            box.commands._answers._answer,
            self._note,
            box.folder,
            box.db,
        )
        box.inbound.on_incident = self.sessions.take
        box.others += [self.grants, self.sessions]

    async def _note(self, op, actor, outcome, code, detail):
        self.audited.append(
            AuditEntry(command_id="", op=op, actor=actor, outcome=outcome, code=code, detail=detail)
        )

    def active(self):
        """The cameras that look at the place and whose picture goes out."""
        return {
            camera_id
            for session in self.sessions._sessions.values()
            for camera_id, known in session.cameras.items()
            if known.is_aimed and self.workers.shows(camera_id)
        }


def settings(camera_id):
    where = at(camera_east_m(camera_id), 8.0)
    number = CAMERAS.index(camera_id)
    near = (one for one in (number - 1, number + 1) if 0 <= one < len(CAMERAS))
    stand = StandSettings(
        lat=where.lat_deg,
        lon=where.lon_deg,
        height_m=45.0,
        most_m=RANGE_M,
        neighbours=tuple(
            CAMERAS[one] if one // 2 == number // 2 else f"box-{one // 2 + 1}/{CAMERAS[one]}"
            for one in near
        ),
    )
    return CameraSettings(camera_id=camera_id, main_url="rtsp://10.0.0.1/m", stand=stand)


class Town:
    def __init__(self, center, poles, sink):
        self.center, self.poles, self.told, self.sink = center, poles, [], sink

    def pole_of(self, camera_id):
        return next(pole for pole in self.poles if camera_id in pole.cameras)

    def grants(self, incident):
        now = int(CLOCK.utc_now().timestamp())
        return tuple(
            MediaGrant(
                id=new_ulid(CLOCK.utc_now()),
                box=pole.box.address.box,
                incident=incident,
                audience="119",
                purpose="walked home",
                reason="escort-home",
                what=(What.LIVE, What.PTZ, What.SNAPSHOT),
                cameras=pole.cameras,
                nbf=now,
                exp=now + 600,
                sink=Sink(url=self.sink),
                on_call=True,
            )
            for pole in self.poles
        )

    def call(self, place, *, granted=True, **changes):
        now = CLOCK.utc_now()
        at_s, incident = int(now.timestamp()), f"2026-{len(self.center.district.incidents)}"
        fields = {
            "id": new_ulid(now),
            "seq": 1,
            "site": "site-1",
            "incident": incident,
            "kind": "escort",
            "reason": "escort-home",
            "audience": "119",
            "by": KIM,
            "iss": "site-1",
            "iat": at_s,
            "exp": at_s + 300,
            "lat": place.lat_deg,
            "lon": place.lon_deg,
            "height_m": 41.0,
            "accuracy_m": 1.0,
            "grants": self.grants(incident) if granted else (),
        }
        return IncidentCall(**(fields | changes))

    def answers(self, call_id):
        return self.center.district.incidents[call_id].answers

    async def first_answer(self, call_id, address):
        """The candidates of a box's first answer: with pictures."""

        def answers():
            return [reply for whose, reply in self.told if (whose, reply.id) == (address, call_id)]

        async def came():
            return bool(answers())

        await eventually(came)
        return answers()[0].result["candidates"]

    async def answered(self, call_id, holds, boxes=2):
        async def all_did():
            replies = self.answers(call_id)
            return len(replies) == boxes and all(holds(one) for one in replies.values())

        await eventually(all_did)
        return self.answers(call_id)

    async def all_free(self):
        return all(
            not pole.workers.pushes
            and not any(pole.workers.shows(c) for c in pole.cameras)
            and all(pole.box.leases.is_free(c) for c in pole.cameras)
            for pole in self.poles
        )


@asynccontextmanager
async def town(folder, broker="broker"):
    broker = Mosquitto(folder / broker, BOXES)
    await broker.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(broker.stop)
        made = make_center(folder, broker.settings(CENTER))
        center = await stack.enter_async_context(running(made))
        poles = []
        for number, address in enumerate(BOXES):
            own = CAMERAS[2 * number : 2 * number + 2]
            box_folder = folder / address.box
            box_folder.mkdir(exist_ok=True)
            box = Box(box_folder, broker.settings(address.box), address, public_keys_file(folder))
            box.folder = box_folder
            devices = {}
            for camera_id in own:
                where = at(camera_east_m(camera_id), 8.0)
                place = SimulatedPlace(lat=where.lat_deg, lon=where.lon_deg, height_m=45.0)
                device = await stack.enter_async_context(running_camera(place=place))
                gate = CameraGate(lambda url=device.url: ZeepCamera(url, LOGIN, CLOCK), CLOCK)
                stack.push_async_callback(gate.close)
                box.gates[camera_id], devices[camera_id] = gate, device
            poles.append(Pole(box, address, own, devices, Workers()))
            await stack.enter_async_context(running(box))
        here = Town(center, poles, "rtsp://relay.example/{camera}")
        take = center.district.replied

        def noted(address, reply):
            here.told.append((address, reply))
            take(address, reply)

        center.district.replied = noted
        here.guest, here.folder = broker.settings(broker.guest), folder

        async def all_listen():
            return all(pole.box.link.status.connected for pole in poles) and not center.link()

        await eventually(all_listen)
        yield here


async def test_the_neighbour_is_ready_before_anybody_knows_where_somebody_goes(tmp_path):
    async with town(tmp_path) as here:
        call = here.call(at(0.0), follow=True, silence_s=2.0)
        await here.center.district.open(call)
        west, east = here.poles

        async def both_look():
            return west.active() == {"west", "middle"}

        await eventually(both_look)
        assert not east.active()

        async def is_lost():
            return bool(list(west.sessions.faults()))

        await eventually(is_lost)
        assert west.active() == {"west", "middle"}  # where it was lost, and where it may come
        await here.center.district.end(call.id)
        await eventually(here.all_free)


async def test_the_neighbour_is_ready_though_it_is_another_boxs_and_not_its_word(tmp_path):
    async with town(tmp_path) as here:
        west, east = here.poles
        call = here.call(at(40.0), follow=True, silence_s=2.0)
        await here.center.district.open(call)

        async def both_are_ready():
            return "middle" in west.active() and east.active() == {"east"}

        await eventually(both_are_ready)
        told = here.answers(call.id)[BOXES[0]].result
        assert told["next"] == ["box-2/east"]

        async def is_lost():
            return bool(list(west.sessions.faults()))

        await eventually(is_lost)  # a word that only hands over is no sight of anybody

        async def east_is_free():
            await here.center.district.move(call.id, at(0.0).lat_deg, at(0.0).lon_deg)
            await asyncio.sleep(0.3)
            return not east.active() and all(east.box.leases.is_free(c) for c in east.cameras)

        await eventually(east_is_free)
        await here.center.district.end(call.id)
        await eventually(here.all_free)


async def test_without_a_grant_a_box_tells_who_sees_it_and_keeps_the_last_minute_only(tmp_path):
    async with town(tmp_path) as here:
        call = here.call(at(20.0), granted=False, kind="fire", reason="fire")
        await here.center.district.open(call)
        west, _ = here.poles
        await here.answered(call.id, lambda reply: reply.result)

        async def kept():
            return len(west.workers.locks) == 2

        await eventually(kept)
        found = here.answers(call.id)[BOXES[0]].result["candidates"]
        assert {one["camera_id"] for one in found} == {"middle", "west"}
        assert all(one["pixels_per_m"] > 25 and one["distance_m"] < 25 for one in found)
        before = next(order for _, order in west.workers.locks)
        assert (CLOCK.utc_now() - before.since).total_seconds() >= 60
        assert await here.all_free()
        assert all(d.motor.moves_total == 0 for d in west.devices.values())


async def test_what_was_seen_is_kept_and_no_more_though_the_worker_was_away_at_the_end(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]
        call = here.call(at(0.0), granted=False)
        await here.center.district.open(call)

        def of(kind):
            return {order.lock_id: order for _, order in west.workers.locks
                    if isinstance(order, kind)}  # fmt: skip

        async def is_locked():
            return bool(of(LockSpan))

        await eventually(is_locked)
        west.workers.are_away = True
        await here.center.district.end(call.id)
        await here.answered(call.id, lambda reply: reply.state is ReplyState.DONE)
        ended, first = CLOCK.utc_now(), set(of(LockSpan))
        await asyncio.sleep(0.8)
        west.workers.are_away = False

        async def is_unlocked():
            return set(of(Unlock)) == first

        await eventually(is_unlocked)
        seen = [of(LockSpan)[f"{lock_id}-seen"] for lock_id in first]
        assert all(one.until <= ended + timedelta(seconds=1) for one in seen)


async def test_a_lock_is_shortened_though_the_core_was_killed_before_the_worker_heard_of_it(
    tmp_path,
):
    async with town(tmp_path) as here:
        west, call = here.poles[0], here.call(at(0.0), granted=False)
        await here.center.district.open(call)

        async def is_locked():
            return any(isinstance(order, LockSpan) for _, order in west.workers.locks)

        await eventually(is_locked)
        west.workers.are_away = True
        await here.center.district.end(call.id)
        await here.answered(call.id, lambda reply: reply.state is ReplyState.DONE)
        ended, token = CLOCK.utc_now(), sign(call, here.center.district.key)
    async with town(tmp_path, "another-broker") as here:
        west = here.poles[0]

        async def is_unlocked():
            return any(isinstance(order, Unlock) for _, order in west.workers.locks)

        await eventually(is_unlocked)
        seen = [order for _, order in west.workers.locks if isinstance(order, LockSpan)]
        assert all(order.lock_id.endswith("-seen") for order in seen)
        assert all(order.until <= ended + timedelta(seconds=1) for order in seen)
        await west.sessions.take(token)
        assert west.audited[-1].code == "incident.replayed"

        async def is_forgotten():
            return not await west.box.db.run(incident_store.holding)

        await eventually(is_forgotten)


async def test_the_answer_ranks_who_sees_it_and_shows_what_it_saw_and_how_old_that_is(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]
        west.workers.pictures = {"west": b"nearest", "middle": b"further away"}
        for granted in (True, False):
            call = here.call(at(18.0), granted=granted, kind="fire", reason="fire")
            await here.center.district.open(call)
            first = await here.first_answer(call.id, BOXES[0])
            assert {one["camera_id"] for one in first} == {"west", "middle"}
            keys = {"distance_m", "bearing_deg", "pixels_per_m", "is_busy", "aim_s"}
            assert all(keys <= one.keys() for one in first)
            shown = {base64.b64decode(one.get("jpeg", "")) for one in first}
            assert shown == ({b"nearest", b"further away"} if granted else {b""})
            assert all(2.0 <= one["age_s"] < 60.0 for one in first if granted)
            await here.center.district.end(call.id)
            await eventually(here.all_free)


async def test_of_two_equals_the_first_keeps_the_camera_until_its_end(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]

        def holder():
            held = west.box.leases._by_camera.get("west")
            return "" if held is None else held.lease_id

        async def held_by(call):
            async def it_is():
                return holder() == call.id

            await eventually(it_is)

        others = (KIM, Actor(user="lee", agency="119"))  # one who called before, and another
        calls = [here.call(at(0.0), incident=str(n), grants=here.grants(str(n)), by=by)
                 for n, by in enumerate((KIM, *others))]  # fmt: skip
        await here.center.district.open(calls[0])
        await held_by(calls[0])
        for call in calls[1:]:
            await here.center.district.open(call)
            await here.answered(call.id, lambda reply: reply.result)
        seen = set()
        for _ in range(10):  # each asks again three times
            await asyncio.sleep(0.1)
            seen.add(holder())
        assert seen == {calls[0].id}
        await here.center.district.end(calls[0].id)

        async def another_has_it():
            return holder() in {call.id for call in calls[1:]}

        await eventually(another_has_it)
        for call in calls[1:]:
            await here.center.district.end(call.id)
        await eventually(here.all_free)


async def test_a_standing_policy_streams_for_a_true_call_without_any_grant(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]
        now = int(CLOCK.utc_now().timestamp())
        policy = StandingPolicy(
            id=new_ulid(CLOCK.utc_now()),
            box=west.box.address.box,
            audience="119",
            purpose="the fire room sees fires",
            reason="fire",
            what=(What.LIVE, What.PTZ),
            kinds=("fire",),
            sink=Sink(url="rtsp://relay.example/{camera}"),
            nbf=now,
            exp=now + 3600,
        )
        await west.policies.give(policy)
        drill = here.call(at(0.0), granted=False, kind="fire", reason="fire", status=CapStatus.TEST)
        await here.center.district.open(drill)
        await here.answered(drill.id, lambda reply: reply.result)
        assert await here.all_free()
        await here.center.district.end(drill.id)
        fire = here.call(at(0.0), granted=False, kind="fire", reason="fire")
        await here.center.district.open(fire)

        async def streams():
            return "west" in west.active()

        await eventually(streams)
        await here.center.district.end(fire.id)
        await eventually(here.all_free)


async def test_the_stand_in_calls_by_hand_and_the_box_lists_its_sessions(tmp_path):
    async with town(tmp_path) as here:
        west, place = here.poles[0], at(0.0)
        link = ["--broker", here.guest.urls[0], "--username", here.guest.username]
        link += ["--password", here.guest.password, "--data-dir", str(here.folder)]
        told = ["box-1", str(place.lat_deg), str(place.lon_deg), "--camera", "west"]
        ca = tmp_path / "ca.pem"
        await asyncio.to_thread(ca.write_text, "the relay's own authority")
        told += ["--sink", "rtsps://relay.example/{camera}", "--sink-ca", str(ca)]
        told += ["--follow", "--then", f"{at(5.0).lat_deg},{at(5.0).lon_deg}"]
        calling = asyncio.create_task(
            asyncio.to_thread(
                CliRunner().invoke, incident, [*told, *link, "--seconds", "4", "--radius", "5"]
            )
        )

        async def turned():
            rows = read_sessions(west.box.folder)
            return rows and {"camera_id": "west", "aimed": True} in rows[0]["called"]

        async def moved_on():
            return [one.call.lon for one in west.sessions._sessions.values()] == [at(5.0).lon_deg]

        await eventually(turned)
        await eventually(moved_on)

        async def is_shown():
            return [one.ca for one in west.workers.pushes.values()] == ["the relay's own authority"]

        await eventually(is_shown)
        done = await calling
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines[-1]["state"] == "done", done.output
        assert any(line["called"] for line in lines)
        assert await here.all_free()


async def test_a_fire_takes_the_camera_from_an_exercise_which_gets_it_back(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]
        drill = here.call(at(-5.0), status=CapStatus.EXERCISE, kind="exercise", reason="exercise",
                          by=Actor(user="lee", agency="army"))  # fmt: skip
        await here.center.district.open(drill)

        async def army_has_it():
            return west.box.leases.is_held_by("west", drill.by)

        async def fire_has_it():
            return west.box.leases.is_held_by("west", KIM)

        await eventually(army_has_it)
        fire = here.call(at(-5.0), kind="fire", reason="fire")
        await here.center.district.open(fire)
        await eventually(fire_has_it)
        await here.center.district.end(fire.id)
        await eventually(army_has_it)
        await here.center.district.end(drill.id)
        await eventually(here.all_free)
        words = [entry.detail.split()[2] for entry in west.audited if entry.op == "incident.open"]
        assert words == ["Exercise", "Actual"]


async def test_who_is_no_longer_heard_of_is_an_alarm_but_not_in_an_exercise(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]
        for status in (CapStatus.EXERCISE, CapStatus.ACTUAL):
            call = here.call(at(0.0), follow=True, silence_s=1.0, status=status)
            await here.center.district.open(call)
        lost = here.center.district.incidents

        async def is_lost():
            return all(
                called.answers.get(BOXES[0]) and called.answers[BOXES[0]].result["lost"]
                for called in lost.values()
            )

        await eventually(is_lost)
        assert [fault.subject for fault in west.sessions.faults()] == [f"incident/{call.incident}"]
        await here.center.district.move(call.id, call.lat, call.lon)

        async def is_found():
            return not list(west.sessions.faults())

        await eventually(is_found)


UNFIT = {
    "reason": ({"reason": "curiosity"}, "incident.unknown_word"),
    "kind": ({"kind": "party"}, "incident.unknown_word"),
    "anklet": ({"reason": "anklet", "kind": "anklet"}, "incident.no_trigger"),
    "site": ({"site": "site-2"}, "incident.wrong_site"),
    "time": ({"iat": 1_700_000_000, "exp": 1_700_000_300}, "incident.stale"),
}


async def test_a_call_that_does_not_fit_moves_nothing_and_is_audited(tmp_path):
    async with town(tmp_path) as here:
        pole = here.poles[0]
        for changes, _ in UNFIT.values():
            await pole.sessions.take(sign(here.call(at(0.0), **changes), here.center.district.key))
        assert [entry.code for entry in pole.audited] == [code for _, code in UNFIT.values()]
        head, body, tail = sign(here.call(at(0.0)), here.center.district.key).split(b".")
        await pole.sessions.take(b".".join((head, body[:-4] + b"AAAA", tail)))
        assert pole.audited[-1].code == "command.bad_signature"
        assert not pole.sessions._sessions
        assert not pole.workers.locks


async def test_an_older_word_is_not_taken_nor_one_about_what_is_over(tmp_path):
    async with town(tmp_path) as here:
        call, pole = here.call(at(0.0)), here.poles[0]
        district = here.center.district
        await district.open(call)
        await here.answered(call.id, lambda reply: reply.result)
        await district.move(call.id, call.lat, call.lon)
        await district.end(call.id)
        await here.answered(call.id, lambda reply: reply.state is ReplyState.DONE)
        await pole.sessions.take(sign(call, district.key))
        assert pole.audited[-1].code == "incident.replayed"
        assert not pole.sessions._sessions
        missed = here.call(at(0.0))  # of which a box hears the end before the beginning
        await pole.sessions.take(sign(structs.replace(missed, seq=2, ended=True), district.key))
        await pole.sessions.take(sign(missed, district.key))
        assert pole.audited[-1].code == "incident.replayed"
        assert not pole.sessions._sessions


async def test_the_end_of_one_session_of_an_incident_leaves_the_others_their_pictures(tmp_path):
    async with town(tmp_path) as here:
        west = here.poles[0]
        incident = here.grants("2026-7")
        calls = [here.call(at(0.0), incident="2026-7", grants=incident) for _ in range(2)]
        for call in calls:
            await here.center.district.open(call)

        async def both_know():
            return len(west.sessions._sessions) == 2 and "west" in west.workers.pushes

        await eventually(both_know)
        await here.center.district.end(calls[1].id)

        async def one_is_over():
            return len(west.sessions._sessions) == 1

        await eventually(one_is_over)
        await here.answered(calls[1].id, lambda reply: reply.state is ReplyState.DONE)
        assert "west" in west.workers.pushes
        await here.center.district.end(calls[0].id)
        await eventually(here.all_free)


async def test_how_long_a_session_lasts_is_kept_though_nothing_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(incidents, "_TALLY_S", 0.1)
    async with town(tmp_path) as here:
        west = here.poles[0]
        call = here.call(at(500.0), granted=False)  # nobody is called up there
        await here.center.district.open(call)

        async def left():
            kept = await west.box.db.run(incident_store.holding)
            return kept[0].left_s if kept else None

        await eventually(left)
        first_s = await left()

        async def is_less():
            return await left() < first_s

        await eventually(is_less)
