"""Who answers at an address is judged by what it shows: another, ours, or not to be said yet."""

import asyncio
import http.server
import threading

import pytest

from agent.app.camera_search import CameraSearch
from agent.app.camera_whereabouts import BLANK_S, ShowsNothingYetError, Whereabouts
from agent.cameras.identity import Identity
from agent.cameras.memory import CameraMemory
from agent.cameras.port import CameraStranger
from agent.cameras.recognition import open_look
from agent.cameras.soap import SoapLink
from agent.cameras.tls import CameraTls, fingerprint_of
from agent.core.clock import SystemClock
from agent.core.shown import Shown
from agent.messages.worker import Word
from tests.certificates import write_certificate
from tests.simulated_onvif import LOGIN, ShiftedClock, running_camera

CLOCK = SystemClock()


async def test_another_certificate_is_a_stranger(tmp_path):
    write_certificate(tmp_path, "camera")
    files = str(tmp_path / "camera.pem"), str(tmp_path / "camera.key")
    async with running_camera(tls_files=files) as camera:
        port = int(camera.url.split(":")[2].partition("/")[0])
        shown = await asyncio.to_thread(fingerprint_of, "127.0.0.1", port)
        link = SoapLink(camera.url, LOGIN, CLOCK, tls=CameraTls(fingerprint=shown))

        def look(fingerprint):
            known = Shown(epr=camera.epr, fingerprint=fingerprint)
            memory = CameraMemory(identity=Identity(shown=known))
            where = Whereabouts(CLOCK, CameraSearch(CLOCK), lambda: memory, camera.url)
            return asyncio.to_thread(where.recognise, link, 5.0)

        with pytest.raises(CameraStranger):
            await look("00" * 32)
        assert await look(shown) is True
        link.close()


async def test_a_certificate_that_an_authority_vouches_for_may_be_renewed(tmp_path):
    write_certificate(tmp_path, "camera", address="127.0.0.1")
    files = str(tmp_path / "camera.pem"), str(tmp_path / "camera.key")
    async with running_camera(tls_files=files) as camera:
        link = SoapLink(camera.url, LOGIN, CLOCK, tls=CameraTls(ca_file=files[0]))
        seen = await asyncio.to_thread(open_look, link, 5.0)
        assert (seen.epr, seen.fingerprint) == (camera.epr, "")
        link.close()


class _Starting(http.server.BaseHTTPRequestHandler):
    """A camera's web server that answers everything with an error: what is behind it starts."""

    def log_message(self, *_):
        pass


@pytest.fixture
def starting_camera():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Starting) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/onvif/device_service"
        server.shutdown()
        serving.join()


def test_a_camera_that_starts_and_shows_nothing_yet_is_not_called_another(starting_camera):
    clock = ShiftedClock()
    memory = CameraMemory(identity=Identity(shown=Shown(epr="urn:uuid:ours", realm="camera")))
    where = Whereabouts(clock, CameraSearch(clock), lambda: memory, starting_camera)
    link = SoapLink(starting_camera, LOGIN, clock)
    with pytest.raises(ShowsNothingYetError):
        where.recognise(link, 5.0)
    clock.shift_s = BLANK_S
    with pytest.raises(CameraStranger) as told:
        where.recognise(link, 5.0)
    assert told.value.code == "camera.stranger"
    assert where.word_of(link, 5.0) is Word.UNKNOWN
    link.close()
