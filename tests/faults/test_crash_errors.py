"""A storage call fails once, or writes only half: nobody dies, the code is right, and it heals.

Each call that the box makes while it records and queues is failed in turn, by strace; short writes
come from a file size limit that is lifted again.
"""

import asyncio
import random
import resource
import shutil
import sqlite3
from contextlib import closing

import pytest

from agent.buffer.check import Check
from agent.buffer.recovery import recover
from tests.faults.crash_lab import strace
from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, OutboxUser
from tests.faults.crash_lab.disk import why_not
from tests.faults.crash_lab.disturbed_box import disturbed_box
from tests.faults.crash_lab.killed_writers import killed, record_forever
from tests.faults.crash_lab.verdict import Verdict, agree
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

FPS, CLIP_S = 10, 9
ERRORS = {
    "ENOSPC": {"storage.full"},
    "EIO": {"storage.error", "storage.index", "storage.database"},
}
ANY_CODE = ERRORS["ENOSPC"] | ERRORS["EIO"]
PAUSE_S = 5.0 + 1.0  # until the next try, and the key frame after it
ONE_FAULT_FRAMES = round((PAUSE_S + 0.5) * FPS)
SLICES, LONG_SLICES = 4, 16
CASES, START_CASES = 48, 24
SIZES_BYTES = range(500, 40_000, 3_331)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=CLIP_S, size_px=(160, 120))


def all_calls(out):
    """Return every call of an undisturbed run with every error: (call, error, which)."""
    counts = strace.census(out)
    return [
        (call, code, when)
        for call, count in sorted(counts.items())
        for code in ERRORS
        for when in range(1, count + 1)
        if code == "EIO" or call not in ("read", "pread64")
    ]


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
    assert {"writev", "pwrite64", "fsync", "fdatasync", "rename", "openat"} <= set(
        strace.census(out)
    )
    return all_calls(out)


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory, clip):
    """Return the folder of a box that was killed in the middle of a segment."""
    folder = tmp_path_factory.mktemp("killed")
    killed(record_forever, folder, clip, lambda told: told.frames >= 55)
    return folder


@pytest.fixture(scope="module")
def start_cases(tmp_path_factory, left_behind):
    """Return every call of an undisturbed start with every error."""
    folder = tmp_path_factory.mktemp("start") / "box"
    shutil.copytree(left_behind, folder)
    out = folder / "strace"
    with disturbed_box(folder, None) as box:
        with strace.attached(box.pid, out):
            box.work()
        assert box.report().codes == []
    return all_calls(out)


def stored(folder, report, *, check=False):
    """Open what is left as the next start does; return the losses and the tape.

    `check`: with the comparison of index and files that follows a start, and each hour.
    """
    verdict = Verdict()
    tape = Tape(folder / CAMERA)
    recover(tape.folder, tape.index, BOOT)
    if check:
        list(Check(tape.folder, tape.index, tape.clock).slices())
    agree(tape, verdict)
    there = {row["path"] for row in tape.segments()} | {r["path"] for r in tape.rows("deletions")}
    for path in set(report.closed) - there:
        verdict.lost("segment", path)
    for hit_id in set(report.hits) - {row["hit_id"] for row in tape.rows("hits")}:
        verdict.lost("hit", hit_id)
    names = asyncio.run(names_of(OutboxUser(folder / DATABASE)))
    for seq, name in report.rows.items():
        if names.get(seq) != name:
            verdict.lost("outbox row", name)
    return verdict, tape


async def names_of(user):
    """Start the outbox, and return what it holds."""
    await user.start()
    await user.db.stop()
    return user.names()


def survives(folder, clip, call, code, when):
    """Fail one call; return a sentence for each thing that went wrong."""
    out = folder / "strace"
    with disturbed_box(folder / "box", clip) as box:
        with strace.attached(box.pid, out, *strace.failing(call, code, when)):
            box.work()
        report = box.report()
        exit_code = box.end()
    # SQLite calls every failed sync an I/O error, a full disk's too
    codes = ANY_CODE if call == "fdatasync" else ERRORS[code]
    # a full disk gives up files at once, and their rows when there is room for that
    faults, check = len(strace.injected(out)), when == "1+"
    return wrong_with(folder / "box", report, exit_code, codes, faults, check=check)


def survives_short_writes(folder, clip, size_bytes):
    """Let no file grow beyond a size for a while: the write that crosses it is cut short."""
    with disturbed_box(folder / "box", clip) as box:
        _, hard = resource.prlimit(box.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(box.pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
        box.work()
        resource.prlimit(box.pid, resource.RLIMIT_FSIZE, (hard, hard))
        report = box.report()
        exit_code = box.end()
    return wrong_with(folder / "box", report, exit_code, ANY_CODE, faults=3)


def survives_at_start(folder, left_behind, call, code, when):
    """Fail one call of a start after a crash; the next start must find everything."""
    shutil.copytree(left_behind, folder / "box")
    out = folder / "strace"
    with disturbed_box(folder / "box", None) as box:
        with strace.attached(box.pid, out, *strace.failing(call, code, when)):
            box.work()
        report = box.report()
        exit_code = box.end()
    wrong = wrong_with(folder / "box", report, exit_code, ANY_CODE | {"ENOSPC", "EIO"}, faults=0)
    with closing(sqlite3.connect(folder / "box" / CAMERA / "index.db")) as db:
        frames = db.execute("SELECT sum(frames) FROM segments").fetchone()[0]
    return wrong if frames >= 50 else [*wrong, f"{frames} frames are left of 55"]


def wrong_with(folder, report, exit_code, codes, faults, *, check=False):
    """Return a sentence for each thing that is not as it must be after `faults` failed calls."""
    if report is None or exit_code:
        return [f"the process ended with {exit_code}"]
    verdict, tape = stored(folder, report, check=check)
    wrong = verdict.details
    if set(report.codes) - codes:
        wrong.append(f"said {report.codes}")
    if report.fault_at_end is not None:
        wrong.append(f"did not heal: {report.fault_at_end}")
    frames = sum(row["frames"] for row in tape.segments())
    if not tape.rows("deletions") and report.handed - frames > faults * ONE_FAULT_FRAMES:
        wrong.append(f"{report.handed - frames} frames lost by {faults} faults")
    tape.index.close()
    return wrong


def sweep(tmp_path, survive, what, cases):
    """Try the cases one after another; the answer names each that went wrong."""
    bad = {}
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        if wrong := survive(folder, what, *case):
            bad[case] = wrong
        shutil.rmtree(folder)
    return bad


def some(cases, count):
    """Return a spread that has the first and the last call of each kind, and more by chance."""
    ends = [c for c in cases if c[2] == 1 or (c[0], c[1], c[2] + 1) not in cases]
    rest = [c for c in cases if c not in ends]
    return ends + random.Random(1).sample(rest, max(0, min(len(rest), count - len(ends))))


@pytest.mark.parametrize("part", range(SLICES))
def test_one_failed_call_is_named_loses_nothing_stored_and_heals(tmp_path, clip, cases, part):
    assert sweep(tmp_path, survives, clip, some(cases, CASES)[part::SLICES]) == {}


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(LONG_SLICES))
def test_every_failed_call_is_named_loses_nothing_stored_and_heals(tmp_path, clip, cases, part):
    assert sweep(tmp_path, survives, clip, cases[part::LONG_SLICES]) == {}


@pytest.mark.parametrize("code", ERRORS)
def test_a_disk_that_refuses_all_calls_of_a_kind_for_a_while_heals(tmp_path, clip, code):
    calls = (
        "write",
        "writev",
        "pwrite64",
        "fsync",
        "fdatasync",
        "rename",
        "openat",
        "mkdir",
        "unlink",
    )
    assert sweep(tmp_path, survives, clip, [(call, code, "1+") for call in calls]) == {}


def test_one_failed_call_of_a_start_is_made_good_by_the_next(tmp_path, left_behind, start_cases):
    few = some(start_cases, START_CASES)
    assert sweep(tmp_path, survives_at_start, left_behind, few) == {}


def test_writes_cut_short_are_named_lose_nothing_stored_and_heal(tmp_path, clip):
    sizes = [(size_bytes,) for size_bytes in SIZES_BYTES]
    assert sweep(tmp_path, survives_short_writes, clip, sizes) == {}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_failed_call_of_a_start_is_made_good_by_the_next(tmp_path, left_behind, start_cases):
    assert sweep(tmp_path, survives_at_start, left_behind, start_cases) == {}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_writes_cut_short_at_many_sizes_are_named_lose_nothing_stored_and_heal(tmp_path, clip):
    sizes = [(size_bytes,) for size_bytes in range(100, 60_000, 331)]
    assert sweep(tmp_path, survives_short_writes, clip, sizes) == {}
