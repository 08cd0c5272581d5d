"""Gathers the facts of an acceptance report from the running agent, its files and the board."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from agent.core.errors import PolesideError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.core.clock import Clock
    from agent.local.cli.box_in_reach import Box
    from agent.local.report.facts import CameraFacts, ReportFacts, TestFacts
    from agent.local.web.view import BoxState, CameraView

_DAY = timedelta(days=1)
_MOST_TESTS, _MOST_GAPS = 200, 60
_TEST_OPS = ("page.test", "page.read_back")
_TOLD = re.compile(r"(?P<kind>walk|bell|cable) ?(?P<camera>[a-z0-9-]*): (?P<told>.*)", re.DOTALL)


def gather(
    box: Box, by: str, clock: Clock, progress: Callable[[str], None], cameras: frozenset[str] | None
) -> ReportFacts:
    """Return all facts; the agent must run. Raises `CommandError` counter.closed."""
    from agent.commands.questions import AskCameras, AskSettings, AskState
    from agent.local.cli.board_report import report_of, selftest_of
    from agent.local.report.facts import FaultFacts, PartFacts, ReportFacts
    from agent.local.web.view import BoxState
    from hardware.pick import pick_board

    state: BoxState = box.ask(AskState(), BoxState)
    settings = {one["camera_id"]: one for one in box.ask(AskSettings(), dict)["cameras"]}
    known = box.ask(AskCameras(), dict)
    told = []
    for view in state.cameras:
        if cameras is None or view.camera_id in cameras:
            progress(view.camera_id)
            told.append(_camera(box, view, settings, known.get(view.camera_id, {}), by, clock))
    board = report_of(
        pick_board(kind="simulated" if state.board.is_simulated else "auto"), box.data_dir
    )
    return ReportFacts(
        site=state.site,
        box=state.box_id,
        by=by,
        made_at=state.utc_now,
        time_quality=state.tq.value,
        version=state.version,
        board=state.board.name,
        board_serial=board.identity.serial or "",
        is_connected=state.link.is_connected,
        endpoint=state.link.endpoint,
        disk_free_bytes=state.disk.free_bytes,
        disk_total_bytes=state.disk.total_bytes,
        faults=tuple(
            FaultFacts(code=one.code, en=one.sentence_en, ko=one.sentence_ko)
            for one in state.faults
            if one.camera_id is None or cameras is None or one.camera_id in cameras
        ),
        cameras=tuple(told),
        tests=_tests(box, cameras),
        selftest=tuple(
            PartFacts(part=one.part, answer=one.answer.value) for one in selftest_of(board)
        ),
        key_id=_key_id(box),
        audit_head=_audit_head(box),
    )


def _camera(
    box: Box,
    view: CameraView,
    settings: Mapping[str, Any],
    known: Mapping[str, Any],
    by: str,
    clock: Clock,
) -> CameraFacts:
    from agent.commands.questions import AskPicture
    from agent.local.report.facts import CameraFacts
    from agent.local.web.view import LivePicture

    camera_id, device = view.camera_id, known.get("device") or {}
    told = settings.get(camera_id, {})
    picture = box.ask_if_running(AskPicture(camera_id, by), LivePicture | None)  # type: ignore[arg-type]
    age_s = None
    if picture is not None:
        age_s = max(0.0, round(clock.monotonic_s() - picture.taken_mono_s, 1))
    facts = CameraFacts(
        camera_id=camera_id,
        name=view.name,
        state=view.state.value,
        is_recording=view.is_recording,
        maker=device.get("manufacturer", ""),
        model=device.get("model", ""),
        firmware=device.get("firmware", ""),
        serial=device.get("serial", ""),
        is_calibrated=told.get("calibration") is not None,
        is_in_doubt=bool(known.get("is_exchanged")),
        zones=_zones(box, camera_id, told),
        picture=picture.jpeg if picture else None,
        picture_age_s=age_s,
        picture_sha256=hashlib.sha256(picture.jpeg).hexdigest() if picture else "",
    )
    with suppress(PolesideError):
        return _with_day(box, facts, clock)
    return facts


def _with_day(box: Box, facts: CameraFacts, clock: Clock) -> CameraFacts:
    """Add what was recorded and what is missing of the last 24 hours."""
    from agent.buffer import ledger, reading
    from agent.local.report.facts import GapFacts

    folder = reading.camera_folder(box.data_dir, facts.camera_id)
    until = clock.utc_now()
    sum_of_day = ledger.sum_up(folder, until - _DAY, until)
    gaps = reading.gaps(folder, until - _DAY, until)
    return msgspec.structs.replace(
        facts,
        minutes=sum_of_day.minutes,
        covered=sum_of_day.covered,
        gaps=tuple(
            GapFacts(since=gap.since, until=gap.until, cause=gap.cause)
            for gap in gaps[-_MOST_GAPS:]
        ),
        more_gaps=max(0, len(gaps) - _MOST_GAPS),
    )


def _zones(box: Box, camera_id: str, settings: Mapping[str, Any]) -> Any:
    from agent.commands.questions import AskAim
    from agent.local.report.facts import ZoneFacts

    reading = box.ask_if_running(AskAim(camera_id), dict | None) or {}  # type: ignore[arg-type]
    scales = {one["rule_id"]: one for one in reading.get("scales", ())}
    rules = [
        one["rule_id"] for one in settings.get("rules", ()) if one.get("zone") or one.get("line")
    ]
    return tuple(
        ZoneFacts(
            rule_id=rule_id,
            px_per_m=(scales[rule_id]["least_px_per_m"], scales[rule_id]["most_px_per_m"])
            if rule_id in scales
            else None,
        )
        for rule_id in rules
    )


def _tests(box: Box, cameras: frozenset[str] | None) -> tuple[TestFacts, ...]:
    """Return the newest test of each kind and camera, as the audit chain tells it."""
    from agent.local.cli.link import read_box
    from agent.local.report.facts import TestFacts
    from agent.outbox.audit import audit_of

    found: dict[tuple[str, str], TestFacts] = {}
    for record in read_box(box.data_dir, lambda c: audit_of(c, _TEST_OPS, _MOST_TESTS)):
        entry = record.data
        match = _TOLD.fullmatch(entry.detail)
        kind = match["kind"] if match else "read-back"
        camera_id = match["camera"] if match else ""
        if camera_id and cameras is not None and camera_id not in cameras:
            continue
        fact = TestFacts(
            kind=kind,
            camera_id=camera_id,
            at=entry.at or record.time,
            by=entry.actor,
            is_passed=entry.outcome == "done",
            told=match["told"] if match else entry.detail,
            hash=entry.hash,
        )
        found.setdefault((kind, camera_id), fact)
    return tuple(found[key] for key in sorted(found))


def _key_id(box: Box) -> str:
    from agent.evidence.key_store import load_box_key

    with suppress(StorageError):
        return load_box_key(box.data_dir).public.fingerprint
    return ""


def _audit_head(box: Box) -> str:
    from agent.local.cli.link import read_box
    from agent.outbox.audit import audit_head

    return str(read_box(box.data_dir, audit_head))
