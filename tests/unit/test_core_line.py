"""A camera worker's line sleeps while there is nothing to say, yet ends and reconnects at once."""

import asyncio
import threading
from datetime import UTC, datetime

from agent.app.core_line import CoreLine
from agent.core.clock import SystemClock
from agent.core.framing import read_frame
from agent.messages import worker
from agent.messages.worker import (
    CameraState,
    CameraStatus,
    DetectionStatus,
    Hello,
    RecordingStatus,
    StreamStatus,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATUS = CameraStatus(
    camera_id="cam-1",
    main=StreamStatus(name="main", state=CameraState.ONLINE, since=NOW),
    sub=None,
    recording=RecordingStatus(recording=True),
    detection=DetectionStatus(state="off", since=NOW),
)


class Core:
    """The other end: notes what each connection said."""

    def __init__(self):
        self.connections, self.writers, self.news = [], [], asyncio.Event()

    async def talk(self, reader, writer):
        said = []
        self.connections.append(said)
        self.writers.append(writer)
        while (payload := await read_frame(reader)) is not None:
            said.append(worker.decode_to_core(payload))
            self.news.set()
        writer.close()

    async def heard(self, condition):
        while not condition():
            self.news.clear()
            await self.news.wait()


async def test_the_last_word_is_sent_and_a_hung_up_line_comes_back(tmp_path):
    core, stop = Core(), threading.Event()
    path = tmp_path / "core.sock"
    line = CoreLine(
        path, Hello(camera_id="cam-1", pid=1), list, lambda _: None, clock=SystemClock()
    )
    server = await asyncio.start_unix_server(core.talk, path)
    thread = threading.Thread(target=line.run, args=(stop,))
    thread.start()
    try:
        await core.heard(lambda: core.connections and core.connections[0])
        core.writers[0].close()
        await core.heard(lambda: len(core.connections) > 1 and core.connections[1])
        line.put(STATUS)
    finally:
        stop.set()
        line.wake()
        await asyncio.to_thread(thread.join)
    await core.heard(lambda: STATUS in core.connections[-1])
    server.close()
    await server.wait_closed()

    assert [type(said[0]) for said in core.connections] == [Hello, Hello]
    assert line.dropped_total == 0
