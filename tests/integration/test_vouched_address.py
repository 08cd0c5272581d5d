"""Whoever shows another certificate than our camera gets no login, wherever it is."""

import asyncio

import pytest

from agent.app.camera_search import CameraSearch
from agent.app.camera_whereabouts import Whereabouts
from agent.cameras.identity import Identity
from agent.cameras.memory import CameraMemory
from agent.cameras.port import CameraStranger
from agent.cameras.soap import SoapLink
from agent.cameras.tls import CameraTls, fingerprint_of
from agent.core.clock import SystemClock
from agent.core.shown import Shown
from tests.certificates import write_certificate
from tests.simulated_onvif import LOGIN, running_camera

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
