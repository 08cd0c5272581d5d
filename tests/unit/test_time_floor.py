"""No time before the last recording is believed, and no recording begins before it."""

import asyncio
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from agent.app.run_dir import forget_run_dir, run_dir
from agent.app.time_floor import FLOOR_FILE, FloorKeeper, keep_floor, last_recorded, stand_on_it
from agent.buffer.index import Index
from agent.buffer.recording_clock import last_end
from agent.buffer.timekeeper import RecordedTime
from agent.contract.events import TimeQuality
from agent.core import clock
from agent.core.clock import RELEASE_FLOOR, SystemClock
from agent.settings.model import Settings
from tests.unit.trees.plant import plant

LAST = datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def floor_restored():
    yield
    SystemClock.floor, SystemClock.proof = RELEASE_FLOOR, None


def recorded(data_dir, at, camera="gate"):
    file = data_dir / "cameras" / camera / "index.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.utime(file, (at.timestamp(), at.timestamp()))


def test_the_last_recording_of_any_camera_counts(tmp_path):
    assert last_recorded(tmp_path) == datetime.fromtimestamp(0, UTC)
    recorded(tmp_path, LAST - timedelta(days=1))
    recorded(tmp_path, LAST, "yard")
    assert last_recorded(tmp_path) == LAST


def test_an_unsynchronised_clock_below_the_last_recording_is_not_believed(tmp_path):
    if SystemClock().quality() is TimeQuality.NTP:
        pytest.skip("this machine's clock is synchronised: it is believed, whatever was recorded")
    ahead = SystemClock().utc_now() + timedelta(hours=2)
    recorded(tmp_path, ahead)
    settings = Settings(data_dir=str(tmp_path))
    stand_on_it(settings)
    keep_floor(settings)
    assert SystemClock().quality() is TimeQuality.UNSYNCED
    SystemClock.floor = RELEASE_FLOOR
    recorded(tmp_path, LAST)  # an index written in a boot without the time looks old
    stand_on_it(settings)
    assert SystemClock().quality() is TimeQuality.UNSYNCED
    assert (tmp_path / FLOOR_FILE).exists()


class Kernel:
    """Says whether the clock is synchronised, in the place of this machine's kernel."""

    is_synchronised = False

    def __call__(self):
        return self.is_synchronised


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr(clock, "_kernel_says_synchronised", kernel)
    return kernel


class Patient(SystemClock):
    """Sleeps only until the others had their turn."""

    async def sleep_s(self, seconds):
        await asyncio.sleep(0)


async def test_a_clock_that_ran_ahead_leaves_no_trace_once_the_time_is_known(tmp_path, kernel):
    settings = Settings(data_dir=str(tmp_path))
    ahead = SystemClock().utc_now() + timedelta(days=90)
    (tmp_path / FLOOR_FILE).write_text(ahead.isoformat())
    stand_on_it(settings)
    keep_floor(settings)
    keeper = asyncio.ensure_future(FloorKeeper(settings, Patient()).run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert datetime.fromisoformat((tmp_path / FLOOR_FILE).read_text()) == ahead
    kernel.is_synchronised = True
    await asyncio.wait_for(keeper, 30)
    kept = datetime.fromisoformat((tmp_path / FLOOR_FILE).read_text())
    assert abs(kept - SystemClock().utc_now()) < timedelta(hours=1)
    forget_run_dir(settings)


def test_without_a_clock_chip_no_time_is_believed_before_it_was_synchronised(tmp_path, kernel):
    settings = Settings(data_dir=str(tmp_path / "data"))
    stand_on_it(settings, root=tmp_path)  # no /sys/class/rtc there
    assert SystemClock().quality() is TimeQuality.UNSYNCED
    kernel.is_synchronised = True
    assert SystemClock().quality() is TimeQuality.NTP
    kernel.is_synchronised = False  # the time server is away: the box's own clock carries on
    assert SystemClock().quality() is TimeQuality.RTC

    SystemClock.proof = None  # another process of this boot, that never saw it synchronised
    stand_on_it(settings, root=tmp_path)
    assert SystemClock().quality() is TimeQuality.RTC

    forget_run_dir(settings)  # the box ended in order, and starts again in the same boot
    SystemClock.proof = None
    stand_on_it(settings, root=tmp_path)
    assert SystemClock().quality() is TimeQuality.RTC
    shutil.rmtree(run_dir(settings))


def test_a_clock_chip_that_has_lost_its_time_proves_none(tmp_path, kernel):
    settings = Settings(data_dir=str(tmp_path / "data"))
    stand_on_it(settings, root=plant("raspberry_pi_5", tmp_path))  # no battery: 17 s after 1970
    assert SystemClock().quality() is TimeQuality.UNSYNCED
    forget_run_dir(settings)


def test_a_clock_chip_that_hangs_holds_up_no_start_and_proves_nothing(tmp_path, kernel):
    settings = Settings(data_dir=str(tmp_path / "data"))
    root = plant("raspberry_pi_cm4", tmp_path)
    (root / "sys/class/rtc/rtc0/since_epoch").unlink()
    os.mkfifo(root / "sys/class/rtc/rtc0/since_epoch")  # every read of it blocks
    stand_on_it(settings, root)
    assert SystemClock().quality() is TimeQuality.UNSYNCED
    os.close(os.open(root / "sys/class/rtc/rtc0/since_epoch", os.O_WRONLY))  # let it go
    forget_run_dir(settings)


def test_a_clock_chip_that_is_slow_still_keeps_the_time(tmp_path, kernel):
    settings = Settings(data_dir=str(tmp_path / "data"))
    root = plant("raspberry_pi_cm4", tmp_path)
    chip = root / "sys/class/rtc/rtc0/since_epoch"
    recorded(tmp_path / "data", SystemClock().utc_now())
    chip.write_text(f"{SystemClock().utc_now().timestamp() - 90:.0f}")
    stand_on_it(settings, root)
    assert SystemClock().quality() is TimeQuality.RTC


def test_with_a_clock_chip_the_time_is_believed_from_the_start(tmp_path, kernel):
    (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
    stand_on_it(Settings(data_dir=str(tmp_path / "data")), root=tmp_path)
    assert SystemClock().quality() is TimeQuality.RTC


def segment(index, number, at, quality):
    run_id = number
    with index.transaction() as db:
        db.execute(
            "INSERT INTO runs (run_id, stream, codec, width_px, height_px, started_utc_us,"
            " started_mono_us, boot_id, time_quality) VALUES (?,'main','h264',16,16,0,0,'boot',?)",
            (run_id, quality),
        )
        db.execute(
            "INSERT INTO segments (run_id, path, state, start_utc_us, duration_us, time_quality)"
            " VALUES (?,?,'closed',?,10000000,?)",
            (run_id, f"{number}.mp4", int(at.timestamp() * 1e6), quality),
        )


def test_the_index_tells_its_last_end_and_leaves_a_clock_that_ran_far_ahead_out(tmp_path):
    index = Index(tmp_path)
    assert last_end(index) is None
    segment(index, 1, LAST, RecordedTime.SYNCED)
    segment(index, 2, LAST + timedelta(hours=1), RecordedTime.UNPROVEN)
    assert last_end(index) == LAST + timedelta(hours=1, seconds=10)
    segment(index, 3, LAST + timedelta(days=9000), RecordedTime.UNPROVEN)
    assert last_end(index) == LAST + timedelta(hours=1, seconds=10)
    index.close()
