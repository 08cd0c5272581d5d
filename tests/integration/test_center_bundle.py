"""The center orders a diagnostic bundle: the box makes it itself and sends it, whole, audited."""

import hashlib
import json
import zipfile
from functools import partial

from agent.app.orders import _make_bundle
from agent.commands.bundle import BundleHandler
from agent.outbox.spool import read_spool
from agent.simulators.broker import free_port
from tests.integration.test_center_cli import broker, poleside
from tests.integration.test_uploads_to_center import FileBox
from tests.spine import running

__all__ = ["broker"]  # a fixture


async def test_a_bundle_is_ordered_made_and_taken_in(broker, tmp_path):
    guest = broker.settings(broker.guest)
    box = FileBox(tmp_path, broker.settings("box-1"), b"")
    made = partial(_make_bundle, tmp_path / "box")
    box.commands.register(
        "bundle", BundleHandler(made, box.uploads), idempotent=True, deadline_s=120, lasts=True
    )
    out = tmp_path / "taken.zip"
    async with running(box):
        code, lines = await poleside(
            *("center", "bundle", "--broker", guest.urls[0], "--username", broker.guest),
            *("--password", guest.password, "--data-dir", str(tmp_path), "box-1"),
            *("--out", str(out), "--listen", f"127.0.0.1:{free_port()}", "--user", "kim"),
        )
    assert code == 0, lines
    last = json.loads(lines[-1])
    assert last["state"] == "done"
    assert last["result"]["uploaded"]
    assert last["result"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    with zipfile.ZipFile(out) as parts:
        assert parts.testzip() is None
        assert "about.json" in parts.namelist()
    (noted,) = [line.entry for line in read_spool(tmp_path / "box").entries]
    assert (noted.op, noted.actor, noted.sha256) == ("bundle.make", "kim", last["result"]["sha256"])
