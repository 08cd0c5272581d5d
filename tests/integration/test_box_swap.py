"""A dead box's disk in a new box: place, recordings, zones and what waits go on, under a new key.

The whole agent, its own command line, a real broker with certificates, the center's own enrolment.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from agent.contract.audit import AuditEntry
from agent.contract.events import StreamName
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.enrol.identity import IdentityFiles, settings_of
from agent.outbox import audit, store
from agent.outbox.epochs import begin_epoch
from agent.outbox.spool import spool
from agent.outbox.writer import Outbox
from agent.settings import history
from agent.settings.load import write_local
from agent.simulators.center.enrolment import Registrar
from agent.uplink.certificate_refusal import certificate_refusal
from agent.uplink.endpoint import Endpoint
from tests.box_process import BoxProcess, CameraProcess, camera_in
from tests.enrolling import NewBox, TlsMosquitto, enrolment_service
from tests.spine import eventually, make_center, running

CLOCK = SystemClock()
POLE = BoxAddress("site-1", "bx-pole")
ZONE = [[0.1, 0.4], [0.9, 0.4], [0.9, 0.9]]
CALIBRATION = {"size_m": [20.0, 12.0]}


def poleside(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def stored(data_dir):
    done = poleside("buffer", "status", "--json", "--data-dir", data_dir)
    return json.loads(done.stdout)


def epoch_of(data_dir):
    with contextlib.closing(sqlite3.connect(data_dir / "box.db")) as connection:
        return connection.execute("SELECT epoch FROM outbox_epoch").fetchone()[0]


async def approved(registrar, name, take_over=None):
    async def has_asked():
        return any(box.name == name and box.state == "asks" for box in registrar.boxes())

    async with asyncio.timeout(40):
        await eventually(has_asked)
    registrar.approve(name, POLE.site, take_over)


@pytest.mark.timeout(240)
async def test_a_new_box_goes_on_with_the_disk_of_a_dead_one(tmp_path, drawn_loops):
    broker = TlsMosquitto(tmp_path / "broker")
    registrar = Registrar(tmp_path / "center", CLOCK, (broker.url,))
    await broker.start(registrar)
    camera = CameraProcess(tmp_path / "camera", "gate", *drawn_loops)
    old_dir, new_dir = tmp_path / "old", tmp_path / "new"
    try:
        async with enrolment_service(registrar) as url:
            first = NewBox(old_dir, url, registrar.new_code(POLE.box), registrar)
            enrolling = asyncio.ensure_future(first.enrol(40.0))
            await approved(registrar, POLE.box)
            identity = await enrolling
            rule = {"kind": "intrusion", "rule_id": "drawn", "zone": ZONE}
            drawn = {"camera_id": "gate", "rules": [rule], "calibration": CALIBRATION}
            write_local(old_dir, {"cameras": [drawn]})  # as the page leaves it
            told = settings_of(identity, old_dir) | {"cameras": [camera.settings("gate")]}
            with camera, BoxProcess(tmp_path, told, "old") as old:
                await asyncio.to_thread(
                    old.until, lambda s: (camera_in(s, "gate")["recorded_s"] or 0) > 3, 60
                )
            old.stop()
            entry = AuditEntry(command_id="", op="clip.export", actor="local:kim", outcome="done")
            await asyncio.to_thread(spool, old_dir, entry, CLOCK)  # nobody took it before it died
            before, old_epoch = await asyncio.to_thread(stored, old_dir), epoch_of(old_dir)
            refused_with = IdentityFiles(tmp_path / "kept-keys")
            refused_with.folder.mkdir()
            for name in ("tls-key.pem", "tls-cert.pem", "broker-ca.pem"):
                (refused_with.folder / name).write_bytes((old_dir / "keys" / name).read_bytes())

            old_dir.rename(new_dir)  # the disk is moved
            own = {"cameras": []}
            new = BoxProcess(tmp_path, own, "new")
            words = ("swap", "box", "--config", new.settings_file, "--center", url, "--yes")
            swapping = asyncio.create_task(
                asyncio.to_thread(
                    poleside,
                    *words,
                    *("--ca", registrar.authority.ca_file),
                    POLESIDE_CODE=registrar.new_code("bx-spare"),
                )
            )
            approving = asyncio.create_task(approved(registrar, "bx-spare", POLE))
            done = await swapping
            assert done.returncode == 0, done.stderr
            await approving
        assert f"is the disk of {POLE.site}/{POLE.box}" in done.stdout
        assert "Recordings of gate" in done.stdout
        broker.reload()

        settings = broker.center(registrar)
        async with running(make_center(tmp_path / "seen", settings)) as center:
            with camera, new:
                state = await asyncio.to_thread(
                    new.until,
                    lambda s: s["link"]["is_connected"] and camera_in(s, "gate")["is_recording"],
                    60,
                )
                assert (state["site"], state["box_id"]) == (POLE.site, POLE.box)

                async def has_all():
                    boxes = await center.boxes()
                    streams = [one for box in boxes for one in box.streams if one.stream == "u"]
                    return any(one.stored and one.epoch != old_epoch for one in streams)

                async with asyncio.timeout(60):
                    await eventually(has_all)
                status = poleside("status", "--json", "--config", new.settings_file)
                assert json.loads(status.stdout)["box_id"] == POLE.box
        assert epoch_of(new_dir) != old_epoch
        (ring,) = (await asyncio.to_thread(stored, new_dir))["cameras"]
        (was,) = before["cameras"]
        assert ring["first_at"] == was["first_at"]
        assert ring["segments"] > was["segments"]
        rules = history.versions(new_dir)[-1].settings().camera("gate")
        assert [one.rule_id for one in rules.rules] == ["drawn"]
        assert rules.calibration.size_m == tuple(CALIBRATION["size_m"])
        assert rules.main_url == camera.settings("gate")["main_url"]
        ops = audited(tmp_path / "seen", new_dir)
        assert {"box.swap", "box.swap_staged", "clip.export"} <= ops
        endpoint = Endpoint.parse(broker.url)
        broker_then = msgspec.structs.replace(
            first.broker() if first.files.identity.exists() else settings,
            ca_file=str(refused_with.broker_ca),
            cert_file=str(refused_with.certificate),
            key_file=str(refused_with.key),
        )
        refusal = await asyncio.to_thread(certificate_refusal, endpoint, broker_then)
        assert refusal.code == "link.certificate_refused"
    finally:
        await broker.stop()


def audited(_center, data_dir):
    with contextlib.closing(sqlite3.connect(data_dir / "box.db")) as connection:
        rows = connection.execute("SELECT body FROM outbox_u").fetchall()
    return {json.loads(body)["data"].get("op") for (body,) in rows}


async def test_what_waits_is_numbered_anew_and_what_was_told_is_not_told_again(tmp_path):
    from agent.contract.acks import Ack
    from agent.core.db import Database

    db = Database(tmp_path / "box.db", [store.PART, audit.PART])
    await db.start()
    try:
        outbox = Outbox(db, store.Store(CLOCK, 1, max_bytes=5_000_000), CLOCK)
        await outbox.start()
        chain = audit.Audit(outbox, CLOCK, "edge/site-1/box-1")
        for number in range(5):
            entry = AuditEntry(command_id="", op=f"op-{number}", actor="me", outcome="done")
            await db.run(lambda c, entry=entry: chain.append_in(c, entry))
        first = outbox.epoch
        acks = {StreamName.AUDIT: Ack(upto=3, epoch=first)}
        book = store.Store(CLOCK, 1, max_bytes=5_000_000)
        await db.run(book.open)
        await db.run(lambda c: book.acknowledge(c, acks))
        epoch = await db.run(begin_epoch)
        await db.run(book.open)
        assert book.epoch == epoch != first
        found = await db.run(lambda c: book.read(c, StreamName.AUDIT, 0))
        records = [json.loads(one.body) for one in found]
        assert [(one["seq"], one["epoch"], one["data"]["op"]) for one in records] == [
            (1, epoch, "op-3"),
            (2, epoch, "op-4"),
        ]
        counts = (await db.run(book.counts))[StreamName.AUDIT]
        assert (counts.next_seq, counts.acked, counts.waiting) == (3, 0, 2)
        assert counts.waiting_bytes > 0
        entry = AuditEntry(command_id="", op="after", actor="me", outcome="done")
        chain = audit.Audit(Outbox(db, book, CLOCK), CLOCK, "edge/site-1/box-1")
        sealed = await db.run(lambda c: chain.append_in(c, entry))
        assert sealed.prev == records[-1]["data"]["hash"]  # one chain, whatever the epoch
    finally:
        await db.stop()
