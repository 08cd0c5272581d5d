"""Recordings with evidence, clips made of them by the command line's own steps, and forgeries."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av

from agent.buffer.index import Index
from agent.buffer.recorder import Recorder
from agent.buffer.retention import Retention
from agent.evidence.gop_chain import open_chain
from agent.evidence.key_store import open_box_key
from agent.evidence.mp4_samples import read_media, seal_box
from agent.evidence.schema import PART
from agent.settings.model import BufferSettings
from tests.fake_clock import FakeClock
from tests.recording import BOOT, Tape, packets_of


class ChainedTape(Tape):
    """One camera of a box with a key, its recorder watched by a `GopChain`."""

    def __init__(self, data_dir: Path, camera: str = "gate", clock=None, **settings):
        self.data_dir, self.camera = data_dir, camera
        self.folder = data_dir / "cameras" / camera
        self.folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock or FakeClock()
        self.settings = BufferSettings(**{"segment_s": 2.0, "min_free_bytes": 0} | settings)
        self.key = open_box_key(data_dir)
        self.index = Index(self.folder, [PART])
        self.retention = Retention(self.folder, self.index, self.settings, self.clock)
        self.chain = open_chain(data_dir, self.folder, "box-1", camera, self.clock)
        self.recorder = Recorder(
            self.folder,
            self.index,
            self.retention,
            self.settings,
            self.clock,
            BOOT,
            observers=[self.chain],
        )

    def record(self, clip, *, cause="lost", frames=None, codec="h264"):
        """As `Tape.record`, with the codec's own name."""
        fed = 0
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            codec = stream.codec_context.name
            self.recorder.run_started(stream, codec, (stream.width, stream.height))
            for packet in packets_of(container):
                if fed == frames:
                    break
                self.recorder.packet(packet, self.clock.monotonic_s())
                fed += 1
                self.clock.pass_s(1 / float(stream.average_rate))
            if cause is not None:
                self.recorder.run_ended(cause)
        return fed

    def export(self, since, until, out: Path, *extra: str) -> Path:
        """`poleside clip export`, as a person calls it."""
        done = poleside(
            *("clip", "export", "--camera", self.camera, "--data-dir", self.data_dir),
            *("--from", since.isoformat(), "--to", until.isoformat(), "--out", out, "--json"),
            *extra,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return out


def poleside(*words, **kwargs):
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


def as_camera_sends(clip: Path) -> Path:
    """Return the clip as an MPEG transport stream: start codes instead of lengths, as RTSP has."""
    out = clip.with_suffix(".ts")
    with av.open(str(clip)) as source, av.open(str(out), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in packets_of(source):
            packet.stream = stream
            container.mux(packet)
    return out


def gops_in(path: Path) -> list[list[tuple[bytes, bool, int]]]:
    """Return each GOP's frames as (bytes, is key frame, pts - dts)."""
    gops = []
    with av.open(str(path)) as container:
        for packet in packets_of(container):
            if packet.is_keyframe:
                gops.append([])
            gops[-1].append((bytes(packet), packet.is_keyframe, packet.pts - packet.dts))
    return gops


def forge(original: Path, gops, out: Path) -> Path:
    """Write `gops` as a clip in the original's wrapping, with the original's manifest."""
    with av.open(str(original)) as source, av.open(str(out), "w") as container:
        template = source.streams.video[0]
        stream = container.add_stream_from_template(template)
        step = round(1 / (template.average_rate * template.time_base))
        for number, (data, is_key, lead) in enumerate(frame for gop in gops for frame in gop):
            packet = av.Packet(data)
            packet.dts, packet.pts = number * step, number * step + lead
            packet.time_base, packet.is_keyframe = Fraction(template.time_base), is_key
            packet.stream = stream
            container.mux(packet)
    with out.open("ab") as file:
        file.write(seal_box(read_media(original).seal))
    return out
