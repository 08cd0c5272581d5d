"""The picture for a car on a thin line: it falls with the line, climbs again, keeps its limit."""

import threading

import av
import pytest

from agent.app.sub_sink import SubSink
from agent.core.clock import SystemClock
from agent.ingest.jpeg import encode_jpeg
from agent.messages.push import StartPush
from agent.push.live_tap import LiveTap
from agent.push.pushes import Pushes
from agent.push.rtp_jpeg import JpegTrack
from agent.simulators.camera.media import load_media
from tests.camera_thread import CameraThread, Notes, Watcher, eventually
from tests.footage_maker import make_clip
from tests.relay_thread import RelayThread
from tests.thin_line import ThinLine

CLOCK = SystemClock()
GOOD_KBPS, BAD_KBPS = 1500.0, 300.0
QUICK = {"rtsp_transport": "tcp", "analyzeduration": "1000000", "fpsprobesize": "0"}


class Car:
    """A camera with two streams and their pushes, towards a relay behind a thin line."""

    def __init__(self, main_url, sub_url, frame):
        self.told, self.frame = [], frame
        self.taps = {"main": LiveTap(), "sub": LiveTap()}
        self.pushes = Pushes(self.taps, self.told.append, lambda: True, CLOCK, self._jpeg)
        self.notes = {"main": Notes(), "sub": Notes()}
        self.watchers = [
            Watcher(url, SubSink(self.notes[name], self.taps[name]))
            for name, url in (("main", main_url), ("sub", sub_url))
        ]

    def _jpeg(self, max_bytes):
        return encode_jpeg(self.frame, 320, max_bytes, for_rtp=True)[0]

    def start(self, url, **fields):
        until_s = CLOCK.monotonic_s() + 120.0
        told = {"push_id": "p", "stream": "sub", "token": "", "is_ladder": True}
        self.pushes.start(StartPush(url=url, until_mono_s=until_s, **(told | fields)))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    main = make_clip(folder / "main.mp4", seconds=4, size_px=(560, 416), ground=40)
    sub = make_clip(folder / "sub.mp4", seconds=4, size_px=(192, 144))
    return main, sub


@pytest.fixture
def car(clips):
    with av.open(str(clips[1])) as container:
        frame = next(container.decode(video=0))
    main, sub = (load_media(clip) for clip in clips)
    with CameraThread(main) as big, CameraThread(sub) as small:
        made = Car(big.url, small.url, frame)
        with made.watchers[0], made.watchers[1]:
            eventually(lambda: all(tap.kbps > 0 for tap in made.taps.values()))
            yield made
            made.pushes.close()


@pytest.fixture
def relay():
    with RelayThread() as made:
        yield made


class Eye:
    """Watches what arrives: what kind, and the longest time without a whole picture."""

    def __init__(self, relay):
        self.relay, self.longest_s, self.seen = relay, 0.0, []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="eye")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join(10)

    @property
    def kind(self):
        arrived = self.relay.publication()
        if arrived is None:
            return ""
        return "jpeg" if "JPEG" in arrived.sdp else "video"

    def _look(self):
        known, since_s = None, None
        while not self._ended.wait(0.02):
            now_s, arrived = CLOCK.monotonic_s(), self.relay.publication()
            if arrived is None or not arrived.pictures_total:
                continue
            if (id(arrived), arrived.pictures_total) != known:
                known, before_s, since_s = (id(arrived), arrived.pictures_total), since_s, now_s
                if before_s is not None:
                    self.longest_s = max(self.longest_s, now_s - before_s)
                    self.seen.append(now_s - before_s)


def rung_of(car):
    push = car.pushes._pushes["p"]
    return push._rung.name


def narrowed_and_widened(car, relay):
    """Narrow the line and widen it again; return the longest time without a picture."""
    print({name: round(tap.kbps) for name, tap in car.taps.items()}, "kbit/s")  # noqa: T201
    with ThinLine(relay.relay.port, GOOD_KBPS) as line, Eye(relay) as eye:
        car.start(f"rtsp://127.0.0.1:{line.port}/gate")
        eventually(lambda: rung_of(car) == "MAIN" and relay.packets() > 20)
        line.kbps = BAD_KBPS
        eventually(lambda: rung_of(car) == "SUB")
        eventually(lambda: relay.packets() > 20)
        line.kbps = GOOD_KBPS
        began_s = CLOCK.monotonic_s()
        eventually(lambda: rung_of(car) == "MAIN" and relay.packets() > 20)
        print("full again after, s:", round(CLOCK.monotonic_s() - began_s, 1))  # noqa: T201
        print("longest without a picture, s:", round(eye.longest_s, 2))  # noqa: T201
        car.pushes.close()
        return eye.longest_s


def test_it_falls_with_the_line_and_climbs_again_and_pictures_come_on_each_rung(car, relay):
    narrowed_and_widened(car, relay)


@pytest.mark.long
def test_it_falls_and_climbs_without_3_s_that_show_nothing(car, relay):
    assert narrowed_and_widened(car, relay) <= 3.0


def test_on_a_line_that_carries_hardly_anything_a_picture_comes_all_the_same(car, relay):
    with ThinLine(relay.relay.port, 60.0) as line, Eye(relay) as eye:
        car.start(f"rtsp://127.0.0.1:{line.port}/gate", max_kbps=50)
        eventually(lambda: eye.kind == "jpeg" and relay.publication().pictures_total > 2)
        with av.open(relay.url(), options=QUICK, timeout=20) as player:
            assert next(player.decode(video=0)).width == 192
        car.pushes.close()


def test_the_limit_holds_whatever_the_line_could_carry(car, relay):
    limit_kbps = round(car.taps["main"].kbps * 0.8)
    with ThinLine(relay.relay.port, 50_000) as line:
        car.start(f"rtsp://127.0.0.1:{line.port}/gate", max_kbps=limit_kbps)
        eventually(lambda: relay.packets() > 5)
        pictures = relay.publication().pictures_total
        eventually(lambda: relay.publication().pictures_total > pictures + 90)
        kbps = line.most_kbps(within_s=5.0)  # of any five seconds, the first burst too
        print("limit", limit_kbps, "sent at most", round(kbps), "kbit/s")  # noqa: T201
        assert kbps <= limit_kbps * 1.1
        assert rung_of(car) == "SUB"
        car.pushes.close()


@pytest.mark.parametrize("there", ["main", "sub"])
def test_of_a_camera_with_one_stream_that_one_is_shown(clips, relay, there):
    number = ("main", "sub").index(there)
    with CameraThread(load_media(clips[number])) as camera:
        car = Car(camera.url, camera.url, None)
        with car.watchers[number]:
            eventually(lambda: car.taps[there].kbps > 0)
            car.start(relay.url())
            eventually(lambda: relay.packets() > 20)
            car.pushes.close()


def test_while_the_large_stream_is_away_the_small_one_is_shown(clips, relay):
    large = CameraThread(load_media(clips[0]))
    with CameraThread(load_media(clips[1])) as small, large:
        car = Car(large.url, small.url, None)
        with car.watchers[0], car.watchers[1]:
            eventually(lambda: all(tap.kbps > 0 for tap in car.taps.values()))
            car.start(relay.url())
            eventually(lambda: rung_of(car) == "MAIN" and relay.packets() > 5)
            large.__exit__()
            eventually(lambda: rung_of(car) == "SUB" and relay.packets() > 20)
            large.__enter__()
            eventually(lambda: rung_of(car) == "MAIN" and relay.packets() > 20)
            car.pushes.close()


def test_a_picture_that_is_no_baseline_jpeg_is_not_sent():
    with pytest.raises(ValueError, match="JPEG"):
        JpegTrack().packets(b"\xff\xd8\xff\xd9", 0.0)
