"""An auditor finds at the page who saw, moved, exported, changed what, and if it is whole."""

import re
import sqlite3
from datetime import UTC, datetime

import pytest

from agent.contract.audit import AuditEntry, AuditRecord
from agent.local.access.audit_view import KINDS, check_chain, is_of
from tests.claimed_box import claimed_box, cookie_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        kim = cookie_of(box.take_over())
        box.add(kim, "op-gate", "operator", "gate")
        box.add(kim, "auditor", "auditor")
        gate = cookie_of(box.sign_in("op-gate"))
        box.page.ask("/api/cameras/gate/live", Cookie=gate)
        box.page.ask("/audit", Cookie=gate)
        box.auditor = cookie_of(box.sign_in("auditor"))
        yield box


def shown(box, query=""):
    body = box.page.ask(f"/audit{query}", Cookie=box.auditor).body.decode()
    chain = re.search(r'id="chain">(.*?)</p>', body, re.DOTALL)[1].strip()
    rows = re.findall(r"<b>([a-z._]+)</b>.*?UTC · ([^<]*)</p>", body, re.DOTALL)
    return chain, rows


def test_the_entries_are_found_by_what_was_done_and_by_whom(box):
    _, rows = shown(box)
    assert {op for op, _ in rows} >= {"page.claim", "page.people", "page.login", "page.view"}
    assert shown(box, "?kind=saw")[1] == [("page.view", "page:op-gate")]
    assert {op for op, _ in shown(box, "?kind=changed")[1]} == {"page.people"}
    assert {op for op, _ in shown(box, "?kind=came&who=OP-GATE")[1]} == {
        "page.login",
        "page.refused",
    }
    assert {who for _, who in shown(box, "?who=op-gate")[1]} == {"page:op-gate"}
    assert shown(box, "?who=<script>")[1] == []
    assert shown(box, "?kind=exported")[1] == []


def test_who_sees_one_camera_reads_of_that_camera_and_of_himself_alone(box):
    kim = cookie_of(box.sign_in("kim"))
    box.add(kim, "aud-yard", "auditor", "yard")
    box.add(kim, "aud-gate", "auditor", "gate")
    whole = shown(box)[0]
    box.auditor = cookie_of(box.sign_in("aud-yard"))
    chain, rows = shown(box)
    assert {who for _, who in rows} == {"page:aud-yard", "page:kim"}
    assert ("page.people", "page:kim") in rows  # that he himself may read the yard
    assert not {op for op, _ in rows} & {"page.view", "page.claim", "page.refused"}
    assert chain.split()[:3] == whole.split()[:3]  # the chain is checked as a whole all the same
    box.auditor = cookie_of(box.sign_in("aud-gate"))
    assert ("page.view", "page:op-gate") in shown(box)[1]


def test_a_chain_that_was_changed_on_the_disk_is_shown_as_broken(box):
    assert "whole over the last" in shown(box)[0]
    with sqlite3.connect(box.folder / "box.db") as connection:
        connection.execute(
            "UPDATE outbox_u SET body = replace(CAST(body AS TEXT), 'op-gate', 'op-yard')"
            " WHERE CAST(body AS TEXT) LIKE '%page.view%'"
        )
    connection.close()
    chain, _ = shown(box)
    assert "BROKEN at entry" in chain
    korean = box.page.ask("/audit?lang=ko", Cookie=box.auditor).body.decode()
    assert "사슬이 끊겼습니다" in korean


def record(entry, seq):
    return AuditRecord(id=str(seq), source="x", time=NOW, seq=seq, epoch="e", data=entry)


def test_a_left_out_entry_and_another_end_are_seen():
    entries, head = [], "0" * 64
    for number in range(4):
        entry = AuditEntry(command_id="", op=f"op.{number}", actor="me", outcome="done")
        entries.append(entry.sealed(head))
        head = entries[-1].hash
    records = [record(entry, seq) for seq, entry in enumerate(entries, start=1)][::-1]
    assert check_chain(records, head).is_whole
    assert check_chain(records[:1] + records[2:], head).broken_seq == 2
    assert check_chain(records[1:], head).broken_seq == 3
    assert check_chain([], head).is_whole


def test_what_is_moved_is_not_told_as_a_change_too():
    assert is_of("camera.aim", "moved")
    assert not is_of("camera.aim", "changed")
    assert is_of("camera.swap", "changed")
    assert is_of("talk", "changed")
    assert is_of("ptz.goto", "moved")
    assert all(is_of("clip.export", kind) == (kind in ("saw", "exported")) for kind in KINDS)
