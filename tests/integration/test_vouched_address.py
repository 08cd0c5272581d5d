"""Where the search believes our camera to be, what shows itself as another gets no full login."""

import asyncio

from agent.app.camera_search import CameraSearch
from agent.app.camera_whereabouts import Whereabouts
from agent.cameras.identity import Identity
from agent.cameras.memory import CameraMemory
from agent.cameras.soap import SoapLink
from agent.cameras.tls import CameraTls, fingerprint_of
from agent.core.clock import SystemClock
from tests.certificates import write_certificate
from tests.simulated_onvif import LOGIN, running_camera

CLOCK = SystemClock()


async def test_an_address_that_was_vouched_for_outdoes_no_contradiction(tmp_path):
    write_certificate(tmp_path, "camera")
    files = str(tmp_path / "camera.pem"), str(tmp_path / "camera.key")
    async with running_camera(tls_files=files) as camera:
        port = int(camera.url.split(":")[2].partition("/")[0])
        shown = await asyncio.to_thread(fingerprint_of, "127.0.0.1", port)
        link = SoapLink(camera.url, LOGIN, CLOCK, tls=CameraTls(fingerprint=shown))
        known = {"ours": Identity(fingerprint="00" * 32), "the same": Identity(fingerprint=shown)}
        may_be_told_all = {}
        for name, identity in known.items():
            memory = CameraMemory(identity=identity)
            where = Whereabouts(CLOCK, CameraSearch(CLOCK), lambda m=memory: m, camera.url)
            where._vouched_for = link.device_url
            may_be_told_all[name] = await asyncio.to_thread(where.recognise, link)
        assert may_be_told_all == {"ours": False, "the same": True}
        link.close()
