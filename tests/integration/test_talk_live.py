"""Who speaks at the center is heard at the scene while he speaks, however the line does, or not."""

import array
import asyncio
import http.server
import math
import ssl
import sys
import threading
import wave
from contextlib import contextmanager

import msgspec
import pytest

from agent.app.talk_process import carry
from agent.commands.talk import TalkHandler
from agent.contract.commands import EndGrant
from agent.contract.grants import What
from agent.contract.scene_args import Talk
from agent.core.clock import SystemClock
from agent.core.errors import SettingsError
from agent.messages.talk import TalkOrder
from agent.push.live_pace import LITTLE_S, MOST_WAITING_S, LivePace
from agent.push.voice import CHUNK_S
from agent.settings.model import CameraSettings, Settings
from agent.simulators.camera.media import load_media
from agent.simulators.center.commander import sign
from agent.simulators.center.live_voice import MICROPHONE, LiveVoice
from tests.camera_thread import CameraThread
from tests.certificates import write_certificate
from tests.footage_maker import make_clip
from tests.grant_desk import desk
from tests.spine import eventually

CLOCK = SystemClock()
QUIET_S, LOUD_S = 1.0, 2.0


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A second of silence, then a tone."""
    file = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(2 * round(QUIET_S * 16_000)))
        tone = (round(9000 * math.sin(n / 8)) for n in range(round(LOUD_S * 16_000)))
        out.writeframes(array.array("h", tone).tobytes())
    return file


@pytest.fixture
def camera(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", seconds=2, size_px=(160, 120))
    with CameraThread(load_media(clip)) as made:
        yield made


class Speaking(threading.Thread):
    """The stand-in speaks a file in a thread; `with Speaking(file) as url:`."""

    def __init__(self, source, **fields):
        super().__init__(name="speaking")
        self.voice = LiveVoice(CLOCK, str(source), "127.0.0.1:0", **fields)
        self._is_over = threading.Event()

    def run(self):
        asyncio.run(self.voice.during(lambda: asyncio.to_thread(self._is_over.wait)))

    def __enter__(self):
        self.start()
        return self.voice.url

    def __exit__(self, *_):
        self._is_over.set()
        self.join()


def order(url, folder, camera, **changes):
    there = CameraSettings(
        camera_id="gate", main_url=camera.url, username="admin", password=camera.password
    )
    fields = {"source_url": url, "for_s": 30.0, "data_dir": str(folder), "live": True}
    return TalkOrder(**(fields | {"camera_json": msgspec.json.encode(there)} | changes))


@contextmanager
def served_over_tls(file, folder):
    """A web server on localhost with the certificate `center` of the folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(file.parent))

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "center.pem", folder / "center.key")
    with Refused(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://localhost:{server.server_port}/{file.name}"
        server.shutdown()
        thread.join()


class Refused(http.server.ThreadingHTTPServer):
    """Takes it quietly that somebody does not trust it."""

    def handle_error(self, *_):
        pass


class Ear(threading.Thread):
    """Notes when a camera's loudspeaker is first heard; `with Ear(camera) as ear:`."""

    def __init__(self, camera):
        super().__init__(name="ear")
        self._speaker, self._is_over = camera.stream.speaker, threading.Event()
        self.first_s = math.inf

    def run(self):
        while not self._is_over.wait(0.005):
            if self._speaker.loud_s:
                self.first_s = CLOCK.monotonic_s()
                return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self.join()


def test_it_is_heard_while_it_is_spoken_and_kept_nowhere(speech, camera, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with Speaking(speech) as url, Ear(camera) as ear:
        began_s = CLOCK.monotonic_s()
        end = carry(order(url, folder, camera), CLOCK, lambda: True)
        over_s = CLOCK.monotonic_s()
    print("heard after it was spoken, with the time to connect, s:",  # noqa: T201
          round(ear.first_s - began_s - QUIET_S, 2), "said", end.said_s)  # fmt: skip
    assert end.code == ""
    assert ear.first_s < over_s
    assert 0 < end.said_s <= QUIET_S + LOUD_S + 0.1
    assert {one.name for one in folder.iterdir()} <= {"logins"}  # who was refused, no sound


def test_so_long_and_no_longer_whatever_is_spoken(speech, camera, tmp_path):
    with Speaking(speech) as url:
        end = carry(order(url, tmp_path, camera, for_s=0.5), CLOCK, lambda: True)
    assert end.code == ""
    assert end.said_s <= 0.5 + MOST_WAITING_S + 2 * CHUNK_S


def test_what_came_late_is_left_out_and_what_comes_then_is_heard_at_once():
    pace, now_s = LivePace(), 100.0
    for _ in range(50):  # in its own time: all of it
        assert pace.takes(now_s, CHUNK_S)
        now_s += CHUNK_S
    now_s += 3.0  # the line stalls
    said = sum(pace.takes(now_s, CHUNK_S) for _ in range(150))  # and brings it all at once
    assert said * CHUNK_S <= MOST_WAITING_S + 2 * CHUNK_S
    waits_s = []
    for _ in range(100):
        now_s += CHUNK_S
        pace.takes(now_s, CHUNK_S)
        waits_s.append(pace.heard_at_s - now_s)
    assert waits_s[-1] <= LITTLE_S + CHUNK_S
    for _ in range(5_000):  # a clock that is two percent faster than the speaker's
        now_s += CHUNK_S * 0.98
        pace.takes(now_s, CHUNK_S)
        assert pace.heard_at_s - now_s <= MOST_WAITING_S + CHUNK_S


def test_over_tls_only_who_proves_it_is_heard(speech, camera, tmp_path):
    city = write_certificate(tmp_path, "city")
    write_certificate(tmp_path, "center", city)
    write_certificate(tmp_path, "others")
    with served_over_tls(speech, tmp_path) as url:
        for ca, code in (("", "talk.no_voice"), ("others", "talk.no_voice"), ("city", "")):
            pem = (tmp_path / f"{ca}.pem").read_text() if ca else ""
            there = order(url, tmp_path, camera, live=False, ca=pem, for_s=0.2)
            assert carry(there, CLOCK, lambda: True).code == code


async def test_a_microphone_is_heard_until_the_grant_ends(camera, tmp_path):
    """A program that says a tone for ever stands for `arecord`."""
    tone = (
        "import math,sys,time,struct\nn=0\nwhile True:\n sys.stdout.buffer.write(b''.join("
        "struct.pack('>h',round(9000*math.sin(i/8)))for i in range(n,n+320)));"
        "sys.stdout.flush();n+=320;time.sleep(.02)"
    )
    with Speaking(MICROPHONE, recorder=(sys.executable, "-c", tone)) as url:
        async with desk(tmp_path) as box:
            there = CameraSettings(camera_id="gate", main_url=camera.url, username="admin",
                                   password=camera.password)  # fmt: skip
            told = Settings(data_dir=str(tmp_path), cameras=(there,))
            handler = TalkHandler(lambda: told, tmp_path / "lines")
            box.commands.register("talk", handler, idempotent=False, deadline_s=60.0, lasts=True)
            grant = box.grant(what=(What.TALK,), sink=None)
            speaking = box.command(Talk(source_url=url, camera_id="gate", live=True), grant=grant)
            await box.commands.handle(sign(speaking, box.key))

            async def is_heard():
                return camera.stream.speaker.loud_s > 0.5

            await eventually(is_heard)
            ends_s = CLOCK.monotonic_s()
            await box.commands.handle(sign(box.command(EndGrant(grant_id=grant.id)), box.key))

            async def is_over():
                said = [one for one in box.replies if one.id == speaking.id]
                return said[-1].state.is_final and said[-1].code == "grant.over"

            await eventually(is_over)
            print("silent after its grant, s: at most",  # noqa: T201
                  round(CLOCK.monotonic_s() - ends_s, 2))  # fmt: skip
            heard_s = camera.stream.speaker.heard_s

            async def is_silent():
                nonlocal heard_s
                before_s, heard_s = heard_s, camera.stream.speaker.heard_s
                await asyncio.sleep(0.3)
                return before_s == camera.stream.speaker.heard_s

            await eventually(is_silent)


def test_what_is_no_sound_file_is_said_so(tmp_path):
    for name in ("nothing.wav", "text.wav"):
        (tmp_path / "text.wav").write_text("no sound")
        with pytest.raises(SettingsError) as error:
            LiveVoice(CLOCK, str(tmp_path / name), "127.0.0.1:0")
        assert error.value.code == "talk.no_file"
