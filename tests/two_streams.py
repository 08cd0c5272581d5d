"""One camera of which both streams are recorded, as its worker does it."""

import av

from agent.buffer import ledger
from agent.buffer.index import MAIN, SUB
from agent.buffer.recorder import Recorder
from agent.buffer.recording_clock import RecordingClock
from agent.core.sqlite import migrate_parts
from agent.evidence.gop_chain import open_chain
from tests.chained_tape import ChainedTape
from tests.recording import BOOT, packets_of


class TwoStreams(ChainedTape):
    """`record` takes a clip of each stream and stores them side by side."""

    def __init__(self, data_dir, camera="gate", clock=None, **settings):
        super().__init__(data_dir, camera, clock, **settings)
        migrate_parts(self.index._db, [ledger.PART])
        time = RecordingClock(self.index, self.clock, BOOT)
        self.chains = {
            stream: open_chain(data_dir, self.folder, "box-1", camera, self.clock, stream)
            for stream in (MAIN, SUB)
        }
        counting = ledger.Ledger(lambda: self.settings.mode)
        observers = {MAIN: [counting, self.chains[MAIN]], SUB: [self.chains[SUB]]}
        self.recorders = {
            stream: Recorder(
                self.folder,
                self.index,
                self.retention,
                self.settings,
                self.clock,
                BOOT,
                observers[stream],
                stream=stream,
                time=time,
            )
            for stream in (MAIN, SUB)
        }
        self.recorder = self.recorders[MAIN]

    def record(self, main, sub=None, *, cause="lost", frames=None):
        """Feed both clips by their times. `frames`: stop after so many of both together."""
        clips = {MAIN: main} | ({SUB: sub} if sub else {})
        opened = {stream: av.open(str(clip)) for stream, clip in clips.items()}
        began_s, fed = self.clock.monotonic_s(), 0
        packets = []
        for stream, container in opened.items():
            video = container.streams.video[0]
            codec = video.codec_context.name
            self.recorders[stream].run_started(video, codec, (video.width, video.height))
            packets += [
                (float(packet.dts * packet.time_base), stream, packet)
                for packet in packets_of(container)
            ]
        packets.sort(key=lambda one: one[:2])
        for at_s, stream, packet in packets[:frames]:
            self.clock.pass_s(max(0.0, began_s + at_s - self.clock.monotonic_s()))
            self.recorders[stream].packet(packet, self.clock.monotonic_s())
            fed += 1
        self.clock.pass_s(0.1)
        if cause is not None:
            for stream in opened:
                self.recorders[stream].run_ended(cause)
        for container in opened.values():
            container.close()
        return fed

    def of(self, stream):
        """Return the rows of one stream's segments."""
        return [row for row in self.segments() if row["stream"] == stream]
