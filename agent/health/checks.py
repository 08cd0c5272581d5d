"""From facts to faults: pure functions, one per part of the box. Nothing here reads anything.

The core gathers the facts (worker reports, the process table, vitals, the link, the outbox) and
calls these every few seconds; `agent.health.fault.keep_since` adds when each fault began.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.contract.events import TimeQuality
from agent.contract.telemetry import DataSample
from agent.core.clock import RELEASE_FLOOR
from agent.health.catalogue import CATALOGUE, fault_of
from agent.health.fault import Fault
from agent.health.heat import limit_c
from agent.messages.capacity import DetectorCapacity
from agent.messages.supervision import ProcessReport, ProcessState
from agent.messages.worker import CameraState, CameraStatus, StreamStatus
from hardware.interface import ClockChipState, PowerState, StorageState, Temperature

HOT_C, HOT_MARGIN_C, TOO_HOT_MARGIN_C = 80.0, 10.0, 5.0
COOL_AGAIN_C = 5.0  # a hot box must cool by this much before it is called cool
WORN_PCT = 90
LINK_GRACE_S = 20.0  # a link that comes and goes this fast is no fault
CERTIFICATE_DAYS = 14  # renewed at two thirds of its life: so late, somebody must look
UNHEARD_S = 120.0  # the center stores and acknowledges within a second
FEW_INODES = 500  # half of what pruning keeps free
OUTBOX_OLD_S = 600.0
OUTBOX_FULL_PCT = 80

ONVIF_GRACE_S = 60.0  # a camera that starts shows its picture before its control side
STARTING_S = 30.0  # so long after it came online, a camera must reach the disk
FRESH_S = 10.0
CENTER_CLOCK_OFF_S = 60.0
CHIP_OFF_S = 60.0  # the kernel sets it right every 11 minutes while it is synchronised
CAMERA_CLOCK_OFF_S = 2.0  # a camera tells whole seconds

_HELD_BY = {"sparing": "link.data_sparing", "spent": "link.data_spent"}
# Ways of one trouble that need no words of their own.
_SAME_AS = {
    "camera.timeout": "camera.unreachable",
    "camera.refused": "camera.unreachable",
    "camera.no_video": "camera.no_such_stream",
}
_OF_ONVIF = {
    "camera.clock_skew",
    "camera.locked_out",
    "camera.not_onvif",
    "camera.stranger",
    "camera.tls",
    "camera.wrong_password",
}
_NO_CONTROL = {"camera.unreachable", "camera.bad_response", "camera.not_supported"}
_WORDS_OF_STATE = {
    CameraState.AUTH_FAILED: "camera.wrong_password",
    CameraState.NOT_A_CAMERA: "camera.not_a_camera",
}


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """The connection to the broker. `down_s` counts from the last moment it was up.

    `has_twin`: another box has the same id. `unheard_s`: so long the broker takes what the box
    sends, the center is there, and acknowledges nothing. `certificate_days`: for how long the box's
    own certificate is still good; None without one. `data`: what the month has carried.
    """

    is_up: bool
    down_s: float = 0.0
    code: str | None = None
    since: datetime | None = None
    has_twin: bool = False
    unheard_s: float = 0.0
    certificate_days: int | None = None
    data: DataSample | None = None


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk under the data folder; `min_free_bytes` as set for the buffer.

    `is_stuck`: it neither does what it is asked nor refuses. `free_inodes`: how many further files
    it takes, of `inodes` in all; None where their number has no bound.
    """

    free_bytes: int | None
    min_free_bytes: int
    storage: StorageState
    is_stuck: bool = False
    free_inodes: int | None = None
    inodes: int = 0


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """What waits for the center. `evicted_new` were given up since the last check."""

    waiting: int
    used_bytes: int
    max_bytes: int
    oldest_s: float | None = None
    evicted_new: int = 0


def camera_faults(status: CameraStatus) -> Iterator[Fault]:
    """Tell what is wrong with one camera. A camera still being connected to is not at fault."""
    subject = f"camera/{status.camera_id}"
    main_code = _stream_trouble(status.main)
    if main_code:
        yield fault_of(
            main_code,
            subject,
            status.main.since,
            camera=status.camera_id,
            reason=status.main.code or status.main.state.value,
        )
        return  # what follows from a lost camera is not told a second time
    for trouble in status.picture:
        yield fault_of(trouble.kind.value, subject, trouble.since, camera=status.camera_id)
    if status.sub is not None and _stream_trouble(status.sub):
        yield fault_of("camera.sub_lost", subject, status.sub.since, camera=status.camera_id)
    if status.recording.fault_code:
        reason = status.recording.fault_code
        yield fault_of("camera.not_recorded", subject, camera=status.camera_id, reason=reason)
    for code in status.recording.faults:
        if code in CATALOGUE:
            yield fault_of(code, subject, camera=status.camera_id)


def unrecorded_faults(status: CameraStatus, now: datetime, now_s: float) -> Iterator[Fault]:
    """Tell that frames of a camera which should be recorded come, and reach no disk."""
    main, recording = status.main, status.recording
    if main.state is not CameraState.ONLINE or main.last_frame_mono_s is None:
        return
    is_starting = 0 <= (now - main.since).total_seconds() < STARTING_S
    has_frames = now_s - main.last_frame_mono_s < FRESH_S
    is_unrecorded = not recording.recording and not recording.fault_code
    if has_frames and is_unrecorded and not is_starting:
        subject = f"camera/{status.camera_id}"
        reason = "storage.no_frames"
        yield fault_of("camera.not_recorded", subject, camera=status.camera_id, reason=reason)


def onvif_faults(
    camera_id: str, code: str | None, since: datetime | None = None
) -> Iterator[Fault]:
    """Tell what keeps a camera's ONVIF side from us, while its video may well run."""
    if code in _OF_ONVIF:
        yield fault_of(code, f"camera/{camera_id}", since, camera=camera_id)


def control_faults(
    status: CameraStatus, code: str | None, since: datetime | None, now: datetime
) -> Iterator[Fault]:
    """Tell that a camera shows its picture, and can't be asked or turned for a while by now."""
    if code is None or code not in _NO_CONTROL or since is None:
        return
    is_starting = 0 <= (now - since).total_seconds() < ONVIF_GRACE_S
    if status.main.state is CameraState.ONLINE and not is_starting:
        subject = f"camera/{status.camera_id}"
        yield fault_of("camera.no_control", subject, since, camera=status.camera_id, reason=code)


def camera_clock_faults(camera_id: str, ahead_s: float | None) -> Iterator[Fault]:
    """Tell that a camera's own clock, and so the time in its picture, is off."""
    if ahead_s is None or abs(ahead_s) <= CAMERA_CLOCK_OFF_S:
        return
    side, side_ko = ("ahead of", "빠릅니다") if ahead_s > 0 else ("behind", "느립니다")
    yield fault_of(
        "camera.clock_off",
        f"camera/{camera_id}",
        camera=camera_id,
        seconds=round(abs(ahead_s)),
        side=side,
        side_ko=side_ko,
    )


def center_clock_faults(ahead_s: float | None) -> Iterator[Fault]:
    """Tell that the box's clock is not the center's. An order may be on its way for a minute."""
    if ahead_s is None or abs(ahead_s) <= CENTER_CLOCK_OFF_S:
        return
    side, side_ko = ("ahead of", "빠릅니다") if ahead_s > 0 else ("behind", "느립니다")
    seconds = round(abs(ahead_s))
    yield fault_of("clock.not_the_centers", "clock", seconds=seconds, side=side, side_ko=side_ko)


def detector_faults(
    statuses: Iterable[CameraStatus], capacity: DetectorCapacity | None = None
) -> Iterator[Fault]:
    """Tell once for the box that cameras fell back to motion only, or that an engine gave way."""
    if capacity is not None and capacity.engine is None:
        yield fault_of(
            "detector.motion_only", "detector", capacity.measured_at, reason=capacity.why
        )
        return
    if capacity is not None and capacity.left_out:
        yield fault_of(
            "detector.stepped_down",
            "detector",
            capacity.measured_at,
            engine=str(capacity.engine),
            better=", ".join(capacity.left_out),
        )
    if capacity is not None and capacity.lost:
        yield fault_of(
            "detector.file_lost", "detector", capacity.measured_at, files=", ".join(capacity.lost)
        )
    blind = [status.detection for status in statuses if status.detection.state == "motion-only"]
    if blind:
        since = min(detection.since for detection in blind)
        yield fault_of("detector.unavailable", "detector", since, cameras=len(blind))


def model_faults(wanted: str, used: str) -> Iterator[Fault]:
    """Tell that the box sees with another model than the one it was given."""
    yield fault_of("detector.other_model", "detector", wanted=wanted, used=used)


def process_faults(processes: Iterable[ProcessReport]) -> Iterator[Fault]:
    """Tell which processes are down, and which keep dying."""
    codes = {
        ProcessState.WAITING: "process.restarting",
        ProcessState.QUARANTINED: "process.quarantined",
        ProcessState.HANGING: "process.hanging",
    }
    for process in processes:
        if process.state in codes:
            yield fault_of(
                codes[process.state],
                f"process/{process.name}",
                process.since,
                process=process.name,
                restarts=process.restarts,
                reason=process.last_exit or "?",
            )


def link_faults(link: LinkFacts) -> Iterator[Fault]:
    """Tell that the center can't be reached, with the link's own error code."""
    if link.has_twin:
        yield fault_of("link.cloned", "link")
    elif not link.is_up and link.down_s >= LINK_GRACE_S:
        code = link.code if link.code in CATALOGUE else "link.down"
        yield fault_of(code, "link", link.since, reason=link.code or "link.unknown")
    if link.unheard_s >= UNHEARD_S:
        yield fault_of("link.not_acknowledged", "link", minutes=round(link.unheard_s / 60))
    if link.certificate_days is not None and link.certificate_days < CERTIFICATE_DAYS:
        yield fault_of("link.certificate_expires", "link", days=max(0, link.certificate_days))
    if link.data is not None and link.data.mode in _HELD_BY and link.data.limit_bytes:
        used = round(100 * link.data.used_bytes / link.data.limit_bytes)
        yield fault_of(_HELD_BY[link.data.mode], "link", used=used)


def disk_faults(disk: DiskFacts) -> Iterator[Fault]:
    """Tell what is wrong with the medium under the recordings."""
    if disk.is_stuck:
        yield fault_of("disk.stuck", "disk")
    if disk.storage.is_read_only:
        yield fault_of("disk.read_only", "disk")
    if disk.storage.is_in_memory:
        yield fault_of("disk.volatile", "disk")
    used = disk.storage.life_used_pct
    if used is not None and used >= WORN_PCT:
        yield fault_of("disk.worn", "disk", used=used)
    few = min(FEW_INODES, disk.inodes // 40)
    if disk.free_inodes is not None and disk.free_inodes < few:
        yield fault_of("disk.inodes", "disk", free=disk.free_inodes)
    if disk.free_bytes is None or disk.free_bytes >= disk.min_free_bytes:
        return
    free, wanted = _size(disk.free_bytes), _size(disk.min_free_bytes)
    if disk.free_bytes < disk.min_free_bytes // 4:
        yield fault_of("disk.full", "disk", free=free)
    else:
        yield fault_of("disk.low", "disk", free=free, wanted=wanted)


def temperature_faults(readings: Sequence[Temperature], *, was_hot: bool) -> Iterator[Fault]:
    """Tell the hottest sensor when it is too near its limit, with some hysteresis."""
    worst: tuple[float, Fault] | None = None
    for reading in readings:
        if reading.celsius is None:
            continue
        most_c = limit_c(reading)
        hot_c = min(HOT_C, most_c - HOT_MARGIN_C) - (COOL_AGAIN_C if was_hot else 0.0)
        excess_c = reading.celsius - hot_c
        if excess_c < 0 or (worst is not None and excess_c <= worst[0]):
            continue
        too_hot = reading.celsius >= most_c - TOO_HOT_MARGIN_C
        code = "board.too_hot" if too_hot else "board.hot"
        celsius = round(reading.celsius)
        worst = (excess_c, fault_of(code, "board", sensor=reading.name, celsius=celsius))
    if worst is not None:
        yield worst[1]


def power_faults(power: PowerState) -> Iterator[Fault]:
    """Tell what the board says of its supply and of throttling. Unknown is no fault."""
    yield from voltage_faults(power)
    yield from throttling_faults(power)


def voltage_faults(power: PowerState) -> Iterator[Fault]:
    """Tell that the supply is too weak, or one of its lines carries too much."""
    if power.under_voltage:
        yield fault_of("board.under_voltage", "board")
    elif power.under_voltage_before:
        yield fault_of("board.under_voltage_before", "board")
    over = [rail.name for rail in power.rails if rail.over_current]
    if over:
        yield fault_of("board.over_current", "board", rail=", ".join(over))


def throttling_faults(power: PowerState) -> Iterator[Fault]:
    """Tell the strongest way in which the processor is held back; else that it was."""
    ways = (
        (power.throttled, "board.throttled"),
        (power.frequency_capped, "board.frequency_capped"),
        (power.soft_limited, "board.soft_limited"),
        (power.throttled_before, "board.throttled_before"),
    )
    for is_so, code in ways:
        if is_so:
            yield fault_of(code, "board")
            return


def clock_faults(quality: TimeQuality) -> Iterator[Fault]:
    """Tell that stamps may be wrong."""
    if quality is TimeQuality.UNSYNCED:
        yield fault_of("clock.unproven", "clock")


def clock_chip_faults(
    chip: ClockChipState | None, now: datetime, quality: TimeQuality
) -> Iterator[Fault]:
    """Tell of a chip that has not kept the time, or is far from a clock that is synchronised."""
    if chip is None or chip.epoch_s is None:
        return
    is_off = abs(now.timestamp() - chip.epoch_s) > CHIP_OFF_S
    if chip.epoch_s < RELEASE_FLOOR.timestamp() or (quality is TimeQuality.NTP and is_off):
        yield fault_of("clock.chip_wrong", "clock")


def outbox_faults(outbox: OutboxFacts, *, link_is_up: bool) -> Iterator[Fault]:
    """Tell that messages pile up. An old message while the link is down is told by the link."""
    if outbox.evicted_new:
        yield fault_of("outbox.evicting", "outbox", evicted=outbox.evicted_new)
    used_pct = 100 * outbox.used_bytes // outbox.max_bytes
    if used_pct >= OUTBOX_FULL_PCT:
        yield fault_of("outbox.nearly_full", "outbox", used=used_pct)
    if link_is_up and outbox.oldest_s is not None and outbox.oldest_s >= OUTBOX_OLD_S:
        minutes = round(outbox.oldest_s / 60)
        yield fault_of("outbox.growing", "outbox", waiting=outbox.waiting, minutes=minutes)


def upload_faults(waiting: int, held: str) -> Iterator[Fault]:
    """Tell that files wait because the day's budget of bytes is used up. The window is no fault."""
    if held == "budget":
        yield fault_of("uploads.budget_spent", "uploads", waiting=waiting)


def _stream_trouble(stream: StreamStatus) -> str | None:
    """Return the catalogue's code for the trouble of one stream, or None."""
    if stream.state in {CameraState.ONLINE, CameraState.UNKNOWN}:
        return None
    if stream.state is CameraState.CONNECTING and stream.code is None:
        return None
    code = _SAME_AS.get(stream.code or "", stream.code) or _WORDS_OF_STATE.get(stream.state)
    return code if code in CATALOGUE else _WORDS_OF_STATE.get(stream.state, "camera.lost")


def _size(count_bytes: int) -> str:
    """Return bytes as a person reads them."""
    mebibytes = count_bytes / 1024**2
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
