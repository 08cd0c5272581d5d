"""Enrolment as people do it: two command lines, one at the center, one at the pole."""

import asyncio
import sys
import tomllib
from contextlib import asynccontextmanager, suppress

from agent.settings.load import validate
from agent.simulators.broker import free_port
from agent.simulators.center.enrolment import Registrar
from tests.enrolling import CLOCK, TlsMosquitto

URL = "mqtts://broker.example.org:8883"


async def launch(*arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.local.cli.main",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def poleside(*arguments):
    """Run the command line; return its exit code, output and complaints."""
    process = await launch(*arguments)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def service(folder):
    """Run the center's enrolment service as a process; gives its address."""
    port = free_port()
    at = ["--data-dir", folder, "--https", f"127.0.0.1:{port}", "--broker", URL]
    process = await launch("center", "enrolment", *at)
    while True:
        assert process.returncode is None, await process.stderr.read()
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        await asyncio.sleep(0.05)
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.communicate()


async def test_from_the_label_to_the_settings_file(tmp_path):
    center, config = tmp_path / "center", tmp_path / "poleside.toml"
    at_center = ["--data-dir", center]
    async with service(center) as url:
        _, code, _ = await poleside("center", "enrol-code", "bx-1", *at_center)
        at_box = ["--center", url, "--ca", center / "ca" / "ca.pem", "--config", config]
        at_box += ["--data-dir", tmp_path / "box", "--code", code.strip(), "--wait-s", "0"]
        rc, _, err = await poleside("enrol", *at_box)
        assert (rc, "[enrol.waiting]" in err) == (1, True)
        _, out, _ = await poleside("center", "boxes", *at_center)
        assert out.split() == ["bx-1", "asks", "-"]
        rc, _, _ = await poleside("center", "approve", "bx-1", "--site", "tb-001", *at_center)
        assert rc == 0
        rc, _, err = await poleside("enrol", *at_box)
        assert (rc, err) == (0, "Enrolled as tb-001/bx-1.\n")
        settings = validate(tomllib.loads(config.read_text()))
        assert (settings.site, settings.box, settings.broker.urls) == ("tb-001", "bx-1", (URL,))
        rc, _, err = await poleside("enrol", *at_box)
        assert (rc, "[enrol.already]" in err) == (1, True)


async def test_the_centers_programs_prove_themselves_with_certificates(tmp_path):
    broker = TlsMosquitto(tmp_path / "broker")
    registrar = Registrar(tmp_path / "center", CLOCK, (broker.url,))
    await broker.start(registrar)
    try:
        at_center = ["--data-dir", tmp_path / "center"]
        rc, out, _ = await poleside("center", "certificate", "operator", *at_center)
        assert rc == 0
        certificate, key, ca = out.split()
        to_broker = ["--broker", broker.url, "--ca", ca, "--cert", certificate, "--key", key]
        ping = ["bx-away", '{"op": "ping"}', "--valid-s", "1"]
        rc, out, _ = await poleside("center", "send", *to_broker, *at_center, *ping)
        assert (rc, "command.no_answer" in out) == (1, True)
    finally:
        await broker.stop()
