"""An https:// camera proves itself by the certificate we know; a changed one gets no login."""

import asyncio

import pytest

from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraCertificate
from agent.cameras.tls import CameraTls, fingerprint_of
from agent.core.clock import SystemClock
from tests.certificates import write_certificate
from tests.simulated_onvif import LOGIN, running_camera


async def test_a_pinned_certificate_is_trusted_and_a_changed_one_is_not(tmp_path):
    for name in ("first", "second"):
        write_certificate(tmp_path, name)
    first, second = (
        (str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}.key"))
        for name in ("first", "second")
    )
    async with running_camera(tls_files=first) as camera:
        port = int(camera.url.split(":")[2].partition("/")[0])
        known = await asyncio.to_thread(fingerprint_of, "127.0.0.1", port)

        def serial(tls: CameraTls) -> None:
            line = OnvifLine(camera.url, LOGIN, SystemClock(), tls=tls)
            try:
                line.ask(Service.DEVICE, "<tds:GetDeviceInformation/>")
            finally:
                line.close()

        await asyncio.to_thread(serial, CameraTls(fingerprint=known))
        with pytest.raises(CameraCertificate):
            await asyncio.to_thread(serial, CameraTls())
        calls = len(camera.calls)
        camera.change_certificate(*second)
        with pytest.raises(CameraCertificate):
            await asyncio.to_thread(serial, CameraTls(fingerprint=known))
        assert len(camera.calls) == calls
        assert not camera.login.refused_total
