"""The facts of an acceptance report. `None` is unknown, and is said so."""

from msgspec import Struct

from agent.contract.events import UtcTime


class ZoneFacts(Struct, frozen=True, kw_only=True):
    """Least and most pixels a metre in a zone; None without a calibration."""

    rule_id: str
    px_per_m: tuple[float, float] | None = None


class GapFacts(Struct, frozen=True, kw_only=True):
    """A time without video, and why."""

    since: UtcTime
    until: UtcTime | None
    cause: str


class CameraFacts(Struct, frozen=True, kw_only=True):
    """One camera. `minutes` of the last 24 hours were due, `covered` of them are recorded.

    `more_gaps`: how many of these hours' gaps are not among `gaps`, which are the newest.
    """

    camera_id: str
    name: str
    state: str
    is_recording: bool | None = None
    maker: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    is_calibrated: bool = False
    is_in_doubt: bool = False
    zones: tuple[ZoneFacts, ...] = ()
    minutes: int | None = None
    covered: int | None = None
    gaps: tuple[GapFacts, ...] = ()
    more_gaps: int = 0
    picture: bytes | None = None
    picture_age_s: float | None = None
    picture_sha256: str = ""


class TestFacts(Struct, frozen=True, kw_only=True):
    """A test that somebody made at the page, as the audit chain has it under `hash`."""

    __test__ = False  # not pytest's

    kind: str
    camera_id: str
    at: UtcTime
    by: str
    is_passed: bool
    told: str
    hash: str


class FaultFacts(Struct, frozen=True, kw_only=True):
    """What was wrong when the report was made."""

    code: str
    en: str
    ko: str


class PartFacts(Struct, frozen=True, kw_only=True):
    """One part of the board's self-test."""

    part: str
    answer: str


class ReportFacts(Struct, frozen=True, kw_only=True):
    """The whole report."""

    site: str
    box: str
    by: str
    made_at: UtcTime
    time_quality: str
    version: str
    board: str = ""
    board_serial: str = ""
    is_connected: bool | None = None
    endpoint: str = ""
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    faults: tuple[FaultFacts, ...] = ()
    cameras: tuple[CameraFacts, ...] = ()
    tests: tuple[TestFacts, ...] = ()
    selftest: tuple[PartFacts, ...] = ()
    key_id: str = ""
    audit_head: str = ""
