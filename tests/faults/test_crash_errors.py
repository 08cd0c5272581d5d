"""A storage call fails once, or writes only half: nobody dies, the code is right, and it heals.

Each call that the box makes while it records and queues is failed in turn, by strace; short writes
come from a file size limit that is lifted again.
"""

import random

import pytest

from agent.buffer.recovery import recover
from tests.faults.crash_lab import strace
from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, OutboxUser
from tests.faults.crash_lab.disk import why_not
from tests.faults.crash_lab.disturbed_box import disturbed_box
from tests.faults.crash_lab.verdict import Verdict, agree
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape

pytestmark = pytest.mark.skipif(why_not("strace") is not None, reason=str(why_not("strace")))

FPS, CLIP_S = 10, 9
ERRORS = {
    "ENOSPC": {"storage.full"},
    "EIO": {"storage.error", "storage.index", "storage.database"},
}
ANY_CODE = ERRORS["ENOSPC"] | ERRORS["EIO"]
PAUSE_S = 5.0 + 1.0  # until the next try, and the key frame after it
ONE_FAULT_FRAMES = round((PAUSE_S + 0.5) * FPS)
SLICES, LONG_SLICES = 4, 16
CASES = 48


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=CLIP_S, size_px=(160, 120))


@pytest.fixture(scope="module")
def cases(tmp_path_factory, clip):
    """Return every call of an undisturbed run with every error: (call, error, which)."""
    folder = tmp_path_factory.mktemp("census")
    out = folder / "strace"
    with disturbed_box(folder / "box", clip) as box:
        with strace.attached(box.pid, out):
            box.work()
        assert box.report().codes == []
        assert box.end() == 0
    counts = strace.census(out)
    assert {"write", "pwrite64", "fsync", "fdatasync", "rename", "openat"} <= set(counts)
    return [
        (call, code, when)
        for call, count in sorted(counts.items())
        for code in ERRORS
        for when in range(1, count + 1)
        if code == "EIO" or call != "pread64"
    ]


def stored(folder, report):
    """Open what is left as the next start does; return the losses and the tape."""
    verdict = Verdict()
    tape = Tape(folder / CAMERA)
    recover(tape.folder, tape.index, BOOT)
    agree(tape, verdict)
    there = {row["path"] for row in tape.segments()} | {r["path"] for r in tape.rows("deletions")}
    for path in set(report.closed) - there:
        verdict.lost("segment", path)
    for hit_id in set(report.hits) - {row["hit_id"] for row in tape.rows("hits")}:
        verdict.lost("hit", hit_id)
    names = OutboxUser(folder / DATABASE).names()
    for seq, name in report.rows.items():
        if names.get(seq) != name:
            verdict.lost("outbox row", name)
    return verdict, tape


def survives(folder, clip, call, code, when):
    """Fail one call; return a sentence for each thing that went wrong."""
    out = folder / "strace"
    with disturbed_box(folder / "box", clip) as box:
        with strace.attached(box.pid, out, *strace.failing(call, code, when)):
            box.work()
        report = box.report()
        exit_code = box.end()
    if report is None or exit_code:
        return [f"the process ended with {exit_code}"]
    verdict, tape = stored(folder / "box", report)
    wrong = verdict.details
    faults = len(strace.injected(out))
    # SQLite calls every failed sync an I/O error, a full disk's too
    if set(report.codes) - (ANY_CODE if call == "fdatasync" else ERRORS[code]):
        wrong.append(f"said {report.codes}")
    if report.fault_at_end is not None:
        wrong.append(f"did not heal: {report.fault_at_end}")
    rows, deleted = tape.segments(), {row["path"] for row in tape.rows("deletions")}
    frames = sum(row["frames"] for row in rows)
    if not deleted and report.handed - frames > faults * ONE_FAULT_FRAMES:
        wrong.append(f"{report.handed - frames} frames lost by {faults} faults")
    tape.index.close()
    return wrong


def sweep(tmp_path, clip, cases):
    """Try the cases one after another; the answer names each that went wrong."""
    bad = {}
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        if wrong := survives(folder, clip, *case):
            bad[case] = wrong
    return bad


def some(cases, count):
    """Return a spread that has the first and the last call of each kind, and more by chance."""
    ends = [c for c in cases if c[2] == 1 or (c[0], c[1], c[2] + 1) not in cases]
    rest = [c for c in cases if c not in ends]
    return ends + random.Random(1).sample(rest, max(0, min(len(rest), count - len(ends))))


@pytest.mark.parametrize("part", range(SLICES))
def test_one_failed_call_is_named_loses_nothing_stored_and_heals(tmp_path, clip, cases, part):
    assert sweep(tmp_path, clip, some(cases, CASES)[part::SLICES]) == {}


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(LONG_SLICES))
def test_every_failed_call_is_named_loses_nothing_stored_and_heals(tmp_path, clip, cases, part):
    assert sweep(tmp_path, clip, cases[part::LONG_SLICES]) == {}
