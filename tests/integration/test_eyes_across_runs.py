"""The eyes go on looking when a jump of the camera's time begins a new run in mid-stream."""

from fractions import Fraction

import av
import pytest

from agent.app.eyes import Eyes
from agent.core.clock import SystemClock
from agent.detect.client import DetectClient
from agent.detect.manifest import load_manifest
from agent.ingest.source import StreamFacts
from agent.settings.model import CameraSettings
from tests.footage_maker import make_clip

FACTS = StreamFacts("h264", 320, 240, Fraction(1, 90_000))


@pytest.fixture
def eyes(tmp_path):
    camera = CameraSettings(camera_id="cam-1", main_url="rtsp://127.0.0.1/", detect=False)
    clock = SystemClock()
    client = DetectClient(tmp_path / "no-detector.sock", clock)
    return Eyes(camera, client, load_manifest(), lambda _: None, clock)


def test_a_second_run_on_the_same_decoder_is_looked_at(eyes, tmp_path):
    with av.open(str(make_clip(tmp_path / "clip.mp4"))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        half = len(packets) // 2
        for run in (packets[:half], packets[half:]):
            eyes.run_started(stream, FACTS)
            for number, packet in enumerate(run):
                eyes.packet(packet, number / 10)
            eyes.run_ended("timestamp-jump")

    assert eyes.status.frames_total == len(packets)
    assert eyes.view.frame is not None
