"""Whatever happens in whatever order: no record is lost but counted ones, and none comes twice."""

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.contract.acks import Ack
from agent.contract.events import StreamName
from agent.contract.records import split
from agent.core.clock import SystemClock
from agent.core.errors import StorageError
from agent.core.sqlite import open_writer
from agent.outbox.store import PART, Store

A, E, T, U = StreamName.ALARM, StreamName.EVENT, StreamName.TELEMETRY, StreamName.AUDIT
MAX_BYTES = 8_000


class Center:
    """Stores each number once, in order, as the contract says; the model of the other side."""

    def __init__(self):
        self.upto = dict.fromkeys(StreamName, 0)
        self.stored = {stream: {} for stream in StreamName}
        self.missing = {stream: set() for stream in StreamName}

    def receive(self, body):
        ((head, _),) = split(body)
        if head.seq > self.upto[head.stream] + 1:
            return
        for seq in range(max(head.seq, self.upto[head.stream] + 1), head.last_seq + 1):
            if head.is_gap:
                self.missing[head.stream].add(seq)
            else:
                self.stored[head.stream][seq] = msgspec.json.decode(body)["n"]
        self.upto[head.stream] = max(self.upto[head.stream], head.last_seq)


class OutboxMachine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "box.db"
        self.center = Center()
        self.queued = {stream: {} for stream in StreamName}
        self.refused = 0
        self.epoch = None
        self._open()

    def _open(self):
        new = not self.path.exists()
        self.connection = open_writer(self.path, PART.migrations)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.store = Store(SystemClock(), 1, max_bytes=MAX_BYTES)
        self.store.open(self.connection)
        assert new or self.store.epoch == self.epoch
        self.epoch = self.store.epoch

    @rule(
        stream=st.sampled_from([A, E, E, E, T, U]),
        phase=st.sampled_from(["new", "update", "end"]),
        size=st.integers(0, 900),
    )
    def append(self, stream, phase, size):
        n = sum(map(len, self.queued.values())) + self.refused

        def build(seq):
            body = {"stream": stream, "epoch": self.epoch, "seq": seq, "n": n, "pad": "x" * size}
            return msgspec.json.encode(body)

        self.connection.execute("BEGIN")
        try:
            seq = self.store.append(
                self.connection, stream, build, event_id=str(n), phase=phase, true_mono_s=1.0
            )
        except StorageError as error:
            assert error.code == "outbox.full"  # noqa: PT017
            self.connection.execute("ROLLBACK")
            self.refused += 1
        else:
            self.connection.execute("COMMIT")
            assert seq == len(self.queued[stream]) + 1
            self.queued[stream][seq] = n

    @rule(stream=st.sampled_from(StreamName), limit=st.integers(1, 20))
    def send_from_the_watermark(self, stream, limit):
        for record in self.store.read(
            self.connection, stream, self.center.upto[stream], limit=limit
        ):
            self.center.receive(record.body)

    @rule(stream=st.sampled_from(StreamName), behind=st.integers(0, 3))
    def acknowledge(self, stream, behind):
        upto = max(0, self.center.upto[stream] - behind)
        self.store.acknowledge(self.connection, {stream: Ack(upto=upto, epoch=self.epoch)})

    @rule(stream=st.sampled_from(StreamName))
    def an_ack_of_another_epoch_changes_nothing(self, stream):
        before = self.store.counts(self.connection)
        assert not self.store.acknowledge(self.connection, {stream: Ack(upto=99, epoch="other")})
        assert self.store.counts(self.connection) == before

    @rule()
    def restart(self):
        self.connection.close()
        self._open()

    @rule(stream=st.sampled_from(StreamName), lost=st.integers(1, 5))
    def the_center_falls_back_to_a_backup(self, stream, lost):
        back = max(0, self.center.upto[stream] - lost)
        for seq in range(back + 1, self.center.upto[stream] + 1):
            self.center.stored[stream].pop(seq, None)
            self.center.missing[stream].discard(seq)
        self.center.upto[stream] = back

    @invariant()
    def what_is_stored_is_what_was_queued(self):
        if not hasattr(self, "store"):
            return
        for stream, stored in self.center.stored.items():
            assert stored == {seq: self.queued[stream][seq] for seq in stored}
            covered = set(stored) | self.center.missing[stream]
            assert covered == set(range(1, self.center.upto[stream] + 1))

    @invariant()
    def counters_are_true_and_bytes_bounded(self):
        if not hasattr(self, "store"):
            return
        used = 0
        for stream, counts in self.store.counts(self.connection).items():
            rows, size = self.connection.execute(
                f"SELECT count(*), total(length(body) + 96) FROM outbox_{stream.value}"
                " WHERE seq > ?",
                (counts.acked,),
            ).fetchone()
            assert (counts.waiting, counts.waiting_bytes) == (rows, size)
            assert counts.next_seq == len(self.queued[stream]) + 1
            used += self.connection.execute(
                f"SELECT total(length(body) + 96) FROM outbox_{stream.value}"
            ).fetchone()[0]
            if stream in (A, U):
                assert counts.evicted_total == 0
        assert used <= MAX_BYTES
        total = self.connection.execute(
            "SELECT sum(bytes + kept_bytes) FROM outbox_heads"
        ).fetchone()[0]
        assert total == used

    def teardown(self):
        if not hasattr(self, "store"):
            return
        # In the end everything is sent, and all that is missing was given up and counted.
        for stream in StreamName:
            while records := self.store.read(self.connection, stream, self.center.upto[stream]):
                for record in records:
                    self.center.receive(record.body)
        self.what_is_stored_is_what_was_queued()
        for stream in StreamName:
            assert self.center.upto[stream] == len(self.queued[stream])
        self.connection.close()
        self.folder.cleanup()


OutboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
TestOutbox = OutboxMachine.TestCase


def test_eviction_takes_telemetry_then_updates_then_old_events_and_never_alarms(tmp_path):
    connection = open_writer(tmp_path / "box.db", PART.migrations)
    store = Store(SystemClock(), 1, max_bytes=20_000)
    store.open(connection)

    def add(stream, phase="new"):
        store.append(connection, stream, lambda _: b"x" * 904, event_id="id", phase=phase)

    for stream, phase in [(A, "new"), (E, "new"), (E, "update"), (E, "end"), (T, "new")] * 4:
        add(stream, phase)
    seen = []
    for _ in range(12):
        add(A)
        rows = connection.execute("SELECT phase FROM outbox_e ORDER BY seq").fetchall()
        telemetry = store.counts(connection)[T].waiting
        seen.append((telemetry, [row["phase"] for row in rows].count("update"), len(rows)))
    assert seen == sorted(seen, reverse=True)
    telemetry_gone = [entry for entry in seen if entry[0] == 0]
    assert all(entry[1] == 4 for entry in seen if entry[0] > 0)
    assert all(entry[2] - entry[1] == 8 for entry in telemetry_gone if entry[1] > 0)
    assert store.counts(connection)[A].evicted_total == 0
    with pytest.raises(StorageError, match="not acknowledged"):  # noqa: PT012
        for _ in range(20):
            add(A)
    connection.close()


def test_a_record_too_large_to_send_is_refused_at_once(tmp_path):
    connection = open_writer(tmp_path / "box.db", PART.migrations)
    store = Store(SystemClock(), 1, max_bytes=1_000_000)
    store.open(connection)
    with pytest.raises(StorageError) as caught:
        store.append(connection, A, lambda _: b"x" * 40_000, event_id="id")
    assert caught.value.code == "outbox.too_large"
    connection.close()
