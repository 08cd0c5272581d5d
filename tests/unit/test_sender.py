"""The sender sends alarms first, again when unheard, and not for an absent center."""

import asyncio
from dataclasses import dataclass

import pytest

from agent.contract.acks import Ack
from agent.contract.events import StreamName
from agent.core.errors import LinkError, StorageError
from agent.uplink import sender
from agent.uplink.link import Outgoing
from agent.uplink.sender import Sender
from tests.spine import ADDRESS, A, E, U


@dataclass
class Record:
    seq: int
    body: bytes

    @property
    def last_seq(self):
        return self.seq


class Clock:
    now = 1000.0

    def monotonic_s(self):
        return self.now


class Link:
    """Takes messages instead of a broker; `fail` breaks the connection."""

    def __init__(self):
        self.sent, self.number, self.up, self.fail = [], 1, asyncio.Event(), False
        self.up.set()

    async def connected(self):
        await self.up.wait()
        return self.number

    def is_up(self, number):
        return number == self.number and self.up.is_set()

    async def publish(self, message):
        if self.fail:
            self.up.clear()
            raise LinkError("link.lost", "gone")
        self.sent.append((message.topic.rpartition("/")[2], message.payload))


class Outbox:
    def __init__(self, **streams):
        self.rows = {stream: [] for stream in StreamName}
        self.marks = dict.fromkeys(StreamName, 0)
        self.reads, self.broken = 0, False
        for name, bodies in streams.items():
            self.rows[StreamName(name)] = bodies

    async def watermarks(self):
        return dict(self.marks)

    async def read(self, stream, after, limit, max_bytes):
        self.reads += 1
        if self.broken:
            raise StorageError("storage.full", "full")
        bodies = self.rows[stream][after : after + limit]
        return [Record(after + n, body) for n, body in enumerate(bodies, 1)]

    async def acknowledge(self, acks):
        for stream, ack in acks.items():
            self.marks[stream] = max(self.marks[stream], ack.upto)
        return {stream: self.marks[stream] for stream in acks}

    def on_news(self, listener):
        self.listener = listener


class Stage:
    def __init__(self, monkeypatch, **streams):
        monkeypatch.setattr(sender, "_IDLE_S", 0.01)
        self.clock, self.link, self.outbox = Clock(), Link(), Outbox(**streams)
        self.sender = Sender(self.clock, self.link, self.outbox, ADDRESS, 32 * 1024)

    async def play(self, *steps):
        """Run the sender and let it come to rest before each step and at the end."""
        await self.sender.start()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.sender.run())
            for step in steps:
                await asyncio.sleep(0.06)
                result = step()
                if asyncio.iscoroutine(result):
                    await result
            await asyncio.sleep(0.06)
            running.cancel()

    def passes(self, seconds):
        def step():
            self.clock.now += seconds

        return step

    def acked(self, stream, upto, nak=None):
        return lambda: self.sender.acknowledged({stream: Ack(upto=upto, epoch="x", nak=nak)})


async def test_alarms_go_first_alone_and_events_in_batches(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1", b"2"], e=[b"3", b"4"], u=[b"5"])
    await stage.play()
    expected = [("alm", b"1"), ("alm", b"2"), ("aud", b"[5]"), ("evt", b"[3,4]")]
    assert stage.link.sent == expected


async def test_what_is_not_acknowledged_in_time_is_sent_again_ever_more_rarely(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1"])
    await stage.play(*[stage.passes(2.1)] * 3)
    assert len(stage.link.sent) == 3  # at 0, 2.1 and, the time-out now being 4 s, 6.3


async def test_what_is_acknowledged_is_not_sent_again(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1"])
    await stage.play(stage.acked(A, 1), stage.passes(100.0))
    assert len(stage.link.sent) == 1


async def test_a_nak_is_answered_once_per_time_out(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1", b"2", b"3"])
    missing = stage.acked(A, 1, nak=2)
    await stage.play(missing, missing, missing)
    assert [body for _, body in stage.link.sent] == [b"1", b"2", b"3", b"2", b"3"]


async def test_a_broken_connection_starts_again_behind_the_watermark(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1", b"2"])

    def breaks():
        stage.link.fail = True
        stage.outbox.rows[A].append(b"3")
        stage.outbox.listener(list(StreamName))

    def heals():
        stage.link.fail, stage.link.number = False, 2
        stage.link.up.set()

    await stage.play(stage.acked(A, 1), breaks, heals)
    assert [body for _, body in stage.link.sent] == [b"1", b"2", b"2", b"3"]


async def test_the_window_bounds_what_an_unheard_box_sends(monkeypatch):
    stage = Stage(monkeypatch, e=[b"1"] * 5000)
    await stage.play()
    assert sum(body.count(b"1") for _, body in stage.link.sent) == sender.WINDOW_RECORDS


async def test_7_a_stream_never_fills_a_brokers_queue_of_a_thousand_messages(monkeypatch):
    """mosquitto's default `max_queued_messages`: what is beyond it would be dropped in silence."""
    streams = {"a": [b"1"] * 5000, "e": [b"2"] * 5000, "u": [b"3"] * 5000, "t": [b"4"] * 5000}
    stage = Stage(monkeypatch, **streams)
    under_way = []

    def looks():
        under_way.extend(channel for channel, _ in stage.link.sent)

    await stage.play(looks, stage.acked(A, 150))
    assert under_way.count("alm") == sender.WINDOW_MESSAGES
    assert len(under_way) < 1000
    channels = [channel for channel, _ in stage.link.sent]
    assert channels.count("alm") == sender.WINDOW_MESSAGES + 150


async def test_what_came_one_by_one_is_bounded_by_messages_too(monkeypatch):
    stage = Stage(monkeypatch)

    def one_more():
        stage.outbox.rows[E].append(b"1")
        stage.outbox.listener([E])

    monkeypatch.setattr(sender, "WINDOW_MESSAGES", 3)
    await stage.play(*[one_more] * 5, stage.acked(E, 1))
    assert [body for _, body in stage.link.sent] == [b"[1]"] * 3 + [b"[1,1]"]


async def test_audit_entries_that_come_together_go_together(monkeypatch):
    stage = Stage(monkeypatch)

    def one_more():
        stage.outbox.rows[U].append(b"1")
        stage.outbox.listener([U])

    await stage.play(one_more, one_more, stage.passes(0.3))
    assert stage.link.sent == [("aud", b"[1,1]")]


async def test_what_is_echoed_is_echoed_once_and_what_is_lightened_is_sent_light(monkeypatch):
    stage = Stage(monkeypatch, e=[b"1", b"2"])
    stage.sender._lighten = lambda stream, body: body + b"0"
    stage.sender._echo = lambda body: Outgoing("up/echo", body) if body == b"2" else None
    await stage.play(stage.passes(2.1))
    assert stage.link.sent == [("evt", b"[10,20]"), ("echo", b"2"), ("evt", b"[10,20]")]


@pytest.mark.parametrize("seconds", [1.0, 61.0])
async def test_an_absent_center_is_only_probed_now_and_then(monkeypatch, seconds):
    stage = Stage(monkeypatch, a=[b"1"])
    stage.sender.center_is(False)
    await stage.play(stage.passes(seconds))
    assert len(stage.link.sent) == (1 if seconds > 60 else 0)


async def test_an_idle_box_does_not_ask_its_database_again_and_again(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1"])

    def rests():
        stage.outbox.reads = 0

    def hears_news():
        assert stage.outbox.reads == 0
        stage.outbox.rows[E].append(b"2")
        stage.outbox.listener(list(StreamName))

    await stage.play(stage.acked(A, 1), rests, hears_news)
    assert [body for _, body in stage.link.sent] == [b"1", b"[2]"]


async def test_an_ack_for_what_was_forgotten_meanwhile_still_counts(monkeypatch):
    """The database moved on while the sender restarted: its own position must follow."""
    stage = Stage(monkeypatch, e=[b"1", b"2"])
    await stage.sender.start()
    stage.outbox.marks[E] = 2
    await stage.sender.acknowledged({E: Ack(upto=2, epoch="x")})
    assert stage.sender._positions[E].acked == 2


async def test_a_connection_lost_at_the_moment_of_stopping_does_not_keep_it_alive(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1"])
    begun, breaks = asyncio.Event(), asyncio.Event()

    async def publish(message):
        begun.set()
        await breaks.wait()
        raise LinkError("link.lost", "gone")

    stage.link.publish = publish
    await stage.sender.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.sender.run())
        await begun.wait()
        breaks.set()
        await asyncio.sleep(0)  # the child has failed, the group has not heard of it yet
        running.cancel()


async def test_a_disk_that_takes_nothing_ends_nothing_and_is_asked_again(monkeypatch):
    stage = Stage(monkeypatch, a=[b"1"])
    stage.outbox.broken = True

    def heals():
        assert stage.outbox.reads > 1
        stage.outbox.broken = False

    await stage.play(heals)
    assert stage.link.sent == [("alm", b"1")]
