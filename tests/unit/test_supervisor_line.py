"""The core's beats tell which required part stands still, though the process is well."""

import asyncio
import socket

from agent.app.child import SupervisorLink
from agent.app.supervisor_line import REQUIRED, SupervisorLine
from agent.core.component import Components, Service
from agent.core.disk_wait import DiskWait
from agent.messages.supervision import decode_from_child
from tests.fake_clock import FakeClock


class Part(Service):
    """Works once a second until it hangs."""

    def __init__(self, name, clock):
        super().__init__(clock)
        self.name, self.hangs = name, False

    async def run(self):
        while True:
            if self.hangs:
                await self._clock.sleep_s(1e9)
            self.progressed()
            await self._clock.sleep_s(1.0)


def last_beat(sock):
    """Return the ages of the newest beat; there is one for each second."""
    newest = None
    while True:
        try:
            newest = decode_from_child(sock.recv(65536))
        except BlockingIOError:
            assert newest is not None, "no beat at all"
            return newest.ages_s


async def test_parts_that_hang_age_in_the_beats_while_the_loop_and_the_others_go_on():
    clock, parts = FakeClock(), {}
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    components = Components(clock)
    for each in REQUIRED:
        parts[each] = Part(each, clock)
        components.add(parts[each])
    link = SupervisorLink(theirs)
    components.add(SupervisorLine(link, components, asyncio.Event(), DiskWait((), clock), clock))
    running = asyncio.ensure_future(components.run())
    await clock.rests(len(REQUIRED) + 1)
    await clock.advance(5.0)
    assert max(last_beat(ours).values()) <= 1.0
    for name in REQUIRED[1:]:
        parts[name].hangs = True
    await clock.advance(10.0)
    ages_s = last_beat(ours)
    assert ages_s.pop(REQUIRED[0]) <= 1.0
    assert len(ages_s) == len(REQUIRED) - 1
    assert min(ages_s.values()) >= 8.0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for sock in (ours, theirs):
        sock.close()
