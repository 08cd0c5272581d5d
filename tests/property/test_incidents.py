"""Whatever hits come in whatever order: one open incident a rule, and lives that make sense."""

import tempfile
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.contract.events import CapStatus, Event, EventKind, StreamName
from agent.core.sqlite import open_writer
from agent.events import incidents
from agent.events.happening import Happening
from agent.events.incidents import Incidents
from agent.events.telling import Origin
from agent.outbox import store
from agent.outbox.store import Store
from tests.fake_clock import FakeClock

KEYS = st.sampled_from(["rule/gate/yard", "rule/gate/door", "rule/roof/yard"])


class IncidentMachine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        self.connection = open_writer(
            Path(self.folder.name) / "box.db",
            [*store.PART.migrations, incidents.PART.migrations[0]],
        )
        self.connection.execute("PRAGMA synchronous=OFF")
        self.clock, self.boot, self.begun = FakeClock(), 1, []
        self._start()

    def _start(self):
        self.store = Store(self.clock, self.boot, max_bytes=10_000_000)
        self.store.open(self.connection)
        origin = Origin("site-1", "box-1", self.boot, lambda: self.store.epoch, CapStatus.TEST)
        self.incidents = Incidents(self.store.append, origin, self.clock)

    def _happening(self, key, hit_id=None, late_s=0.0):
        return Happening(
            key=key,
            subject=key.split("/")[1],
            kind=EventKind.INTRUSION,
            at=self.clock.utc_now(),
            mono_s=self.clock.monotonic_s() - late_s,
            tq=self.clock.quality(),
            stream=StreamName.ALARM,
            hit_id=hit_id,
        )

    @rule(key=KEYS, late_s=st.sampled_from([0.0, 30.0, -1e6]))
    def begins(self, key, late_s):
        hit_id = f"hit-{len(self.begun)}"
        what = self._happening(key, hit_id, late_s)
        event_id = self.incidents.begin(self.connection, what)
        self.begun.append((what, event_id))

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def is_sent_again(self, data):
        what, event_id = data.draw(st.sampled_from(self.begun))
        before = self._told()
        assert self.incidents.begin(self.connection, what) == event_id
        assert self._told() == before

    @rule(key=KEYS)
    def goes_on(self, key):
        self.incidents.go_on(self.connection, self._happening(key))

    @rule(key=KEYS)
    def ends(self, key):
        self.incidents.end(self.connection, self._happening(key))
        assert key not in self._open_keys()

    @rule(seconds=st.sampled_from([1.0, 15.0, 25.0]))
    def time_passes(self, seconds):
        self.clock.pass_s(seconds)
        self.incidents.end_forgotten(self.connection, 20.0, "rule/")

    @rule(is_reboot=st.booleans())
    def restarts(self, is_reboot):
        self.boot += is_reboot
        self._start()
        self.incidents.end_forgotten(self.connection, 20.0, "rule/")
        if is_reboot:
            assert self._open_keys() == []

    def _open_keys(self):
        query = "SELECT key FROM incidents WHERE ended_utc_us IS NULL"
        return [row["key"] for row in self.connection.execute(query)]

    def _told(self):
        records = self.store.read(
            self.connection, StreamName.ALARM, 0, limit=10_000, max_bytes=10_000_000
        )
        return [msgspec.json.decode(record.body, type=Event) for record in records]

    @invariant()
    def lives_make_sense(self):
        if not hasattr(self, "incidents"):
            return
        open_keys = self._open_keys()
        assert len(open_keys) == len(set(open_keys))
        lives = {}
        for event in self._told():
            lives.setdefault(event.id, []).append(event.phase.value)
        for phases in lives.values():
            assert phases[0] == "new"
            assert set(phases[1:-1]) <= {"update"}
            assert phases.count("new") == 1
            assert phases.count("end") <= 1
        still_open = [phases for phases in lives.values() if phases[-1] != "end"]
        assert len(still_open) == len(open_keys)
        assert {event_id for _, event_id in self.begun} == set(lives)

    @invariant()
    def nothing_unconfirmed_stays_open(self):
        if not hasattr(self, "incidents"):
            return
        self.connection.execute("SAVEPOINT look")
        self.clock.pass_s(21.0)
        self.incidents.end_forgotten(self.connection, 20.0, "rule/")
        assert self._open_keys() == []
        self.clock.pass_s(-21.0)
        self.connection.execute("ROLLBACK TO look")
        self.connection.execute("RELEASE look")

    def teardown(self):
        if hasattr(self, "connection"):
            self.connection.close()
            self.folder.cleanup()


IncidentMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestIncidents = IncidentMachine.TestCase
