"""Video around a hit is kept under the incident it became, and in the shadow it is not kept."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.app.event_locks import EventLocks
from agent.buffer.locks import Locks, all_locks
from agent.contract.events import TimeQuality
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import HitAck
from agent.settings.model import CameraSettings
from agent.settings.rules import IntrusionRule
from tests.footage_maker import make_clip
from tests.moving_things import WHOLE
from tests.recording import Tape
from tests.staged_tape import StagedTape

BEGAN, CONTINUES, ENDED = HitState


def camera(**rule):
    yard = IntrusionRule(rule_id="yard", zone=WHOLE, **rule)
    return CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/", rules=(yard,))


class Kept(Tape):
    def __init__(self, folder, **rule):
        super().__init__(folder, event_pre_s=3.0, event_post_s=2.0, event_lock_days=2.0)
        locks = Locks(folder, self.index, self.settings, self.clock, lambda: 10**9)
        self.events = EventLocks(locks, None, camera(**rule))

    def hit(self, name="hit-1", state=BEGAN, later_s=0.0):
        at = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=later_s)
        mono_s = self.clock.mono_s - 5.0 + later_s
        hit = RuleHit(
            hit_id=name,
            camera_id="gate",
            rule_id="yard",
            kind="intrusion",
            state=state,
            at=at,
            mono_s=mono_s,
            tq=TimeQuality.NTP,
        )
        self.events.hit(hit, self.recorder.moment(mono_s))

    def locks(self):
        return [(row["lock_id"], row["incident_id"]) for row in self.rows("locks")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=10, size_px=(160, 120))


@pytest.fixture
def kept(tmp_path, clip):
    made = []

    def make(**rule):
        tape = Kept(tmp_path / "camera", **rule)
        tape.record(clip)
        made.append(tape)
        return tape

    yield make
    for tape in made:
        tape.index.close()


def test_a_lock_bears_the_id_of_the_incident_its_hit_joined(kept):
    tape = kept()
    tape.hit()
    assert tape.locks() == [("hit-1", "hit-1")]  # at once: the core may be away
    tape.events.told(HitAck(hit_id="hit-1", incident_id="incident-of-another-rule"))
    assert tape.locks() == [("hit-1", "incident-of-another-rule")]


def test_a_hit_in_the_shadow_locks_nothing(kept):
    tape = kept(shadow_days=7)
    tape.hit()
    tape.hit(state=CONTINUES, later_s=5)
    tape.events.told(HitAck(hit_id="hit-1"))
    tape.hit(state=ENDED, later_s=8)
    assert tape.locks() == []


def test_after_its_shadow_time_a_hit_is_locked_as_soon_as_the_core_says_so(kept):
    tape = kept(shadow_days=7)
    tape.hit()
    tape.hit(state=ENDED, later_s=4)
    assert tape.locks() == []
    tape.events.told(HitAck(hit_id="hit-1", incident_id="hit-1"))
    (row,) = tape.rows("locks")
    assert (row["to_utc_us"] - row["from_utc_us"]) / 1e6 == pytest.approx(3 + 4 + 2, abs=0.1)
    tape.hit("hit-2")  # from now on it is known to be raised: nobody waits for the core
    assert [name for name, _ in tape.locks()] == ["hit-1", "hit-2"]


def test_new_settings_end_the_doubt(kept):
    tape = kept(shadow_days=7)
    tape.events.use(camera())
    tape.hit()
    assert tape.locks() == [("hit-1", "hit-1")]


def test_a_disk_that_is_spared_while_heat_lasts_still_gets_all_of_it(tmp_path, clip):
    tape, mode = StagedTape(tmp_path / "camera", tmp_path / "memory"), ["continuous"]
    tape.locks._mode = lambda: mode[0]
    events = EventLocks(tape.locks, tape.stage, camera())
    tape.clock.pass_s(400.0)
    events.use(camera(), is_shed=True)
    events.turn(tape.recorder.moment(tape.clock.mono_s))
    mode[0] = "events"
    for _ in range(3):
        events.turn(tape.recorder.moment(tape.clock.mono_s))
        tape.stage.turn()
        tape.record(clip, frames=30)
    events.turn(tape.recorder.moment(tape.clock.mono_s))
    tape.stage.turn()
    assert {row["path"].split("/")[0] for row in tape.segments()} == {"video"}
    tape.index.close()


def test_while_heat_keeps_a_camera_from_looking_event_only_mode_records_all_of_it(tmp_path, clip):
    tape = StagedTape(tmp_path / "camera", tmp_path / "memory")
    events = EventLocks(tape.locks, tape.stage, camera())

    def record():
        events.turn(tape.recorder.moment(tape.clock.mono_s))
        tape.stage.turn()
        tape.record(clip, frames=30)
        events.turn(tape.recorder.moment(tape.clock.mono_s))
        tape.stage.turn()

    tape.clock.pass_s(400.0)
    events.use(camera(), is_shed=True)
    for _ in range(4):
        record()
    hot = [row["path"] for row in tape.segments()]
    assert {path.split("/")[0] for path in hot} == {"video"}
    events.use(camera())
    events.turn(tape.recorder.moment(tape.clock.mono_s))
    tape.clock.pass_s(60.0)
    record()
    assert len(tape.staged()) > 0
    tape.clock.pass_s(400.0)
    tape.retention.prune()
    assert [row["path"] for row in tape.segments()] == hot
    assert all_locks(tape.index._db) == []  # kept, and no room for events' locks taken
    tape.index.close()
