"""A voice from the center is heard at the scene, through a camera or the box, and kept nowhere."""

import array
import asyncio
import http.server
import math
import socket
import subprocess
import threading
import wave
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from agent.app.talk_process import carry
from agent.commands.output import OutputHandler
from agent.commands.sign import SignHandler
from agent.commands.talk import TalkHandler
from agent.contract.commands import EndGrant, Output, ReplyState
from agent.contract.grants import What
from agent.contract.scene_args import SignText, Talk
from agent.core.clock import SystemClock
from agent.messages.talk import TalkOrder
from agent.pole.outputs import Outputs
from agent.pole.signs import PoleSigns
from agent.settings.model import BoardSettings, CameraSettings, Settings
from agent.settings.pole import OutputSettings, Purpose, SignSettings
from agent.simulators.camera.media import load_media
from agent.simulators.center.commander import sign
from hardware.boards.simulated_lines import FileLines
from hardware.linux.alpha_signs import AlphaSigns, frame
from hardware.linux.alsa import AlsaSpeaker
from hardware.pick import pick_board
from hardware.signs import SignError
from hardware.speaker import SpeakerError
from tests.camera_thread import CameraThread
from tests.footage_maker import make_clip
from tests.foreign_relays import GST_PYTHON, free_port, wait_for_port
from tests.grant_desk import desk
from tests.spine import eventually

CLOCK = SystemClock()
SAID_S = 3.0


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """The address of a tone of two seconds, as a center offers it."""
    folder = tmp_path_factory.mktemp("voice")
    with wave.open(str(folder / "voice.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        tone = (round(9000 * math.sin(n / 20)) for n in range(round(SAID_S * 44_100)))
        file.writeframes(array.array("h", [x for one in tone for x in (one, one)]).tobytes())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/voice.wav"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    clip = make_clip(tmp_path_factory.mktemp("media") / "clip.mp4", seconds=2, size_px=(160, 120))
    with CameraThread(load_media(clip)) as made:
        yield made


def settings_of(camera, **changes):
    told = {"camera_id": "gate", "main_url": camera.url, "username": "admin"}
    return CameraSettings(**(told | {"password": camera.password} | changes))


def order(voice, folder, camera=None, **changes):
    fields = {
        "source_url": voice,
        "for_s": 30.0,
        "data_dir": str(folder),
        "camera_json": msgspec.json.encode(camera) if camera else b"",
        "board_kind": "simulated",
        "lines_folder": str(folder / "lines"),
    }
    return TalkOrder(**(fields | changes))


def yes():
    return True


def test_it_is_heard_from_the_cameras_loudspeaker_as_fast_as_it_is_said(voice, camera, tmp_path):
    speaker = camera.stream.speaker
    before_s, began_s = speaker.heard_s, CLOCK.monotonic_s()
    end = carry(order(voice, tmp_path, settings_of(camera)), CLOCK, yes)
    assert (end.code, round(end.said_s, 1)) == ("", SAID_S)
    assert CLOCK.monotonic_s() - began_s >= SAID_S * 0.9
    assert speaker.heard_s - before_s == pytest.approx(SAID_S, abs=0.1)
    assert speaker.loud_s > SAID_S * 0.8
    assert [path.name for path in tmp_path.iterdir()] == ["logins"]  # nothing of what was said


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, "push.refused"),
        ({"main_url": "http://127.0.0.1:1/mjpeg"}, "talk.no_speaker"),
    ],
)
def test_a_camera_that_can_not_be_spoken_through_says_so(voice, camera, tmp_path, changes, code):
    end = carry(order(voice, tmp_path, settings_of(camera, **changes)), CLOCK, yes)
    assert (end.code, end.said_s) == (code, 0.0)


def test_a_camera_without_a_loudspeaker_says_so(voice, camera, tmp_path):
    speaker, camera.stream.speaker = camera.stream.speaker, None
    try:
        end = carry(order(voice, tmp_path, settings_of(camera)), CLOCK, yes)
    finally:
        camera.stream.speaker = speaker
    assert end.code == "push.no_speaker"


def test_the_boxs_own_speaker_is_heard_for_so_long_and_no_longer(voice, tmp_path):
    end = carry(order(voice, tmp_path, for_s=1.0), CLOCK, yes)
    assert (end.code, round(end.said_s, 1)) == ("", 1.0)
    told = (tmp_path / "lines" / "speaker").read_text()
    seconds, loudest = float(told.split()[0]), int(told.split()[-1])
    assert seconds == pytest.approx(1.0, abs=0.05)
    assert 6000 < loudest < 10_000
    assert [one.name for one in (tmp_path / "lines").iterdir()] == ["speaker"]  # nothing was kept


def test_nothing_to_be_heard_is_said_before_anybody_is_disturbed(camera, tmp_path):
    before = camera.connects_total
    for url in ("http://127.0.0.1:1/nothing.wav", f"file://{tmp_path}/secret", str(tmp_path)):
        end = carry(order(url, tmp_path, settings_of(camera)), CLOCK, yes)
        assert end.code == "talk.no_voice"
    assert camera.connects_total == before


@contextmanager
def gst_loudspeaker(file):
    port = free_port()
    script = Path(__file__).parents[1] / "gst_loudspeaker.py"
    process = subprocess.Popen([GST_PYTHON, str(script), str(port), str(file)])
    try:
        wait_for_port(port)
        yield f"rtsp://127.0.0.1:{port}/main"
    finally:
        process.kill()
        process.wait()


def test_another_makers_onvif_server_hears_it(voice, tmp_path):
    heard = tmp_path / "heard.raw"
    with gst_loudspeaker(heard) as url:
        there = CameraSettings(camera_id="gate", main_url=url)
        end = carry(order(voice, tmp_path, there), CLOCK, yes)
        assert (end.code, round(end.said_s, 1)) == ("", SAID_S)
        until_s = CLOCK.monotonic_s() + 20.0
        while heard.stat().st_size < SAID_S * 8000 * 2 * 0.9 and CLOCK.monotonic_s() < until_s:
            threading.Event().wait(0.05)  # the server may be behind
    samples = array.array("h", heard.read_bytes())
    assert len(samples) == pytest.approx(SAID_S * 8000, rel=0.2)
    assert 6000 < max(samples) < 10_000


async def ordered(box, args, **fields):
    """Give an order while others are being done; return its own final reply."""
    command = box.command(args, **fields)
    await box.commands.handle(sign(command, box.key))

    def own():
        return [one for one in box.replies if one.id == command.id and one.state.is_final]

    async def is_answered():
        return bool(own())

    await eventually(is_answered)
    return own()[-1]


async def test_the_order_ends_with_its_grant_and_two_do_not_speak_at_once(voice, tmp_path):
    async with desk(tmp_path) as box:
        told = Settings(
            data_dir=str(tmp_path),
            board=BoardSettings(kind="simulated"),
            cameras=(CameraSettings(camera_id="gate", main_url="rtsp://127.0.0.1:1/main"),),
        )
        handler = TalkHandler(lambda: told, tmp_path / "lines")
        box.commands.register("talk", handler, idempotent=False, deadline_s=60.0, lasts=True)
        fields = {"what": (What.TALK,), "cameras": (), "sink": None}
        first, second = box.grant(**fields), box.grant(**fields)
        speaking = box.command(Talk(source_url=voice), grant=first)
        await box.commands.handle(sign(speaking, box.key))

        async def is_heard():
            return (tmp_path / "lines" / "speaker").exists()

        await eventually(is_heard)
        reply = await ordered(box, Talk(source_url=voice), grant=second)
        assert (reply.state, reply.code) == (ReplyState.FAILED, "talk.busy")
        assert (await ordered(box, EndGrant(grant_id=first.id))).code == ""

        async def is_silent():
            last = [one for one in box.replies if one.id == speaking.id][-1]
            return last.state.is_final and last.code == "grant.over"

        await eventually(is_silent)

        reply = await ordered(box, Talk(source_url=voice, for_s=0.2), grant=second)
        assert (reply.code, reply.result) == ("", {"camera_id": "", "said_s": 0.2})
        away = box.grant(**(fields | {"cameras": ("gate",)}))
        reply = await ordered(box, Talk(source_url=voice, camera_id="gate"), grant=away)
        assert (reply.state, reply.code) == (ReplyState.FAILED, "push.unreachable")


def test_what_the_speakers_program_takes_is_what_was_said(tmp_path):
    said = tmp_path / "said"
    speaker = AlsaSpeaker(("tee", str(said))).open()
    speaker.write(b"\1\2" * 160)
    speaker.close()
    assert said.read_bytes() == b"\1\2" * 160
    with pytest.raises(SpeakerError):
        AlsaSpeaker(("/nowhere/aplay",)).open()


class Sign(threading.Thread):
    """An LED sign behind a serial-to-TCP converter."""

    def __init__(self):
        super().__init__()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.shown = []

    @property
    def address(self):
        return f"tcp://127.0.0.1:{self.server.getsockname()[1]}"

    def run(self):
        while True:
            line, _ = self.server.accept()
            with line:
                data = b""
                while more := line.recv(1000):
                    data += more
            if not data:
                return
            self.shown.append(data)


async def test_a_sign_shows_a_text_for_its_time_and_is_dark_then(tmp_path):
    board = Sign()
    board.start()
    signs = PoleSigns(
        CLOCK, AlphaSigns(), (SignSettings(sign_id="front", address=board.address, max_on_s=60.0),)
    )
    async with desk(tmp_path) as box:
        box.commands.register("sign", SignHandler(signs), idempotent=True)
        grant = box.grant(what=(What.TALK,), cameras=(), sink=None)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(signs.run())

            async def is_shown(*texts):
                return board.shown == [frame(text) for text in texts]

            await eventually(lambda: is_shown(""))  # dark at the start
            reply = await box.order(
                SignText(sign_id="front", text="TURN BACK", for_s=0.5), grant=grant
            )
            assert reply.state is ReplyState.DONE
            await eventually(lambda: is_shown("", "TURN BACK", ""))
            for args, code in (
                (SignText(sign_id="back", text="X"), "sign.unknown"),
                (SignText(sign_id="front", text="X", for_s=61), "sign.too_long"),
            ):
                assert (await box.order(args, grant=grant)).code == code
            assert (await box.order(SignText(sign_id="front", text=""))).state is ReplyState.DONE
            running.cancel()
    await asyncio.to_thread(_end, board)


async def test_with_its_grant_a_sign_goes_dark_and_an_output_safe(tmp_path):
    board = Sign()
    board.start()
    signs = PoleSigns(
        CLOCK, AlphaSigns(), (SignSettings(sign_id="front", address=board.address, max_on_s=600.0),)
    )
    siren = OutputSettings(output_id="siren", purpose=Purpose.SIREN, line="siren")
    outputs = Outputs(CLOCK, FileLines(tmp_path), (siren,))
    async with desk(tmp_path) as box:
        shows, switches = SignHandler(signs), OutputHandler(outputs)
        box.grants.at_end += [shows.grant_ended, switches.grant_ended]
        box.commands.register("sign", shows, idempotent=True)
        box.commands.register("output", switches, idempotent=True)
        grant = box.grant(what=(What.TALK,), cameras=(), sink=None)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one.run()) for one in (signs, outputs)]

            async def is_shown(*texts):
                return board.shown == [frame(text) for text in texts]

            await eventually(lambda: is_shown(""))
            for args in (
                SignText(sign_id="front", text="TURN BACK"),
                Output(output_id="siren", on=True),
            ):
                assert (await box.order(args, grant=grant)).state is ReplyState.DONE
            assert outputs.states[0].is_on
            await box.order(EndGrant(grant_id=grant.id))
            assert not outputs.states[0].is_on
            await eventually(lambda: is_shown("", "TURN BACK", ""))
            for one in running:
                one.cancel()
    await asyncio.to_thread(_end, board)


def _end(board):
    with socket.create_connection(board.server.getsockname()):
        pass
    board.join()
    board.server.close()


def test_a_frame_is_as_the_protocol_has_it():
    head = b"\0\0\0\0\0\x01Z00\x02AA\x1b "
    assert frame("FIRE") == head + b"bFIRE\x04"
    assert frame("KEEP AWAY FROM THE RIVER") == head + b"aKEEP AWAY FROM THE RIVER\x04"
    assert frame("A\x04\x01B") == head + b"bAB\x04"  # nobody writes his own commands


def test_a_simulated_sign_is_a_file_of_its_folder_alone(tmp_path):
    signs = pick_board(kind="simulated", lines_folder=tmp_path / "lines").signs
    signs.show("front", "TURN BACK")
    assert (tmp_path / "lines" / "front").read_text() == "TURN BACK"
    with pytest.raises(SignError):
        signs.show("../elsewhere", "X")
