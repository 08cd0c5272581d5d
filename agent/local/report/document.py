"""What the report says, in order, in one language: the same for paper (PDF) and screen (HTML)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.local.report.facts import CameraFacts, GapFacts, ReportFacts, TestFacts

Words = Mapping[str, str]
_TESTS = ("walk", "bell", "cable", "read-back")
_SEEN = re.compile(r"(?P<n>\d+) detections, alarms: (?P<alarms>.*)")  # as the audit chain has it


@dataclass(frozen=True, slots=True)
class Row:
    """One line; `mark` is ok, bad, unknown, or empty where nothing is judged."""

    label: str
    value: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its lines, and a picture above them."""

    title: str
    rows: tuple[Row, ...] = ()
    picture: bytes | None = None
    caption: str = ""


def sections(facts: ReportFacts, words: Words, language: str) -> Iterator[Section]:
    """Yield the report's sections."""
    teller = _Teller(words, language)
    yield teller.box(facts)
    yield teller.faults(facts)
    for camera in facts.cameras:
        yield teller.camera(camera, facts)
    yield teller.tests(facts)
    yield teller.selftest(facts)
    yield teller.seal(facts)


class _Teller:
    def __init__(self, words: Words, language: str) -> None:
        self._words, self._language = words, language

    def box(self, facts: ReportFacts) -> Section:
        link = "link-up" if facts.is_connected else "link-down"
        clock = f"{_time(facts.made_at)}, {self._word(f'time.{facts.time_quality}')}"
        return Section(
            self._word("report.box"),
            (
                Row(self._word("report.place"), f"{facts.site} / {facts.box}"),
                Row(self._word("report.made"), f"{_time(facts.made_at)}, {facts.by}"),
                Row(self._word("report.board"), self._told(facts.board)),
                Row(self._word("report.serial"), self._told(facts.board_serial)),
                Row(self._word("report.version"), facts.version),
                Row(self._word("report.clock"), clock, _mark(facts.time_quality != "unsynced")),
                Row(
                    self._word("report.link"),
                    f"{self._word(f'report.{link}')} {facts.endpoint}".strip(),
                    _mark(facts.is_connected),
                ),
                Row(self._word("report.storage"), self._storage(facts)),
            ),
        )

    def faults(self, facts: ReportFacts) -> Section:
        rows = tuple(
            Row(fault.code, fault.ko if self._language == "ko" else fault.en, "bad")
            for fault in facts.faults
        )
        none = (Row("", self._word("report.no-faults"), "ok"),)
        return Section(self._word("report.faults"), rows or none)

    def camera(self, camera: CameraFacts, facts: ReportFacts) -> Section:
        device = " ".join(part for part in (camera.maker, camera.model) if part)
        rows = [
            Row(self._word("report.state"), self._state(camera), _mark(camera.state == "online")),
            Row(self._word("report.device"), self._told(device)),
            Row(self._word("report.firmware"), self._told(camera.firmware)),
            Row(self._word("report.serial"), self._told(camera.serial)),
            Row(self._word("report.calibration"), self._calibration(camera)),
            *(
                Row(f"{self._word('report.px-per-m')} · {zone.rule_id}", self._scale(zone.px_per_m))
                for zone in camera.zones
            ),
            self._coverage(camera),
            *(
                Row(_time(gap.since), f"{self._until(gap)} · {self._code('gap', gap.cause)}", "bad")
                for gap in camera.gaps
            ),
            *self._more_gaps(camera),
        ]
        caption = self._word("report.no-picture")
        if camera.picture is not None and camera.picture_age_s is not None:
            age = self._word("report.picture-age").replace("{s}", f"{camera.picture_age_s:.0f}")
            caption = f"{_time(facts.made_at)} · {age}"
        title = f"{self._word('report.camera')} {camera.camera_id} · {camera.name}"
        return Section(title, tuple(rows), camera.picture, caption)

    def tests(self, facts: ReportFacts) -> Section:
        rows = [self._test(test) for test in facts.tests]
        tried = {test.kind for test in facts.tests}
        not_made = self._word("report.not-made")
        rows += [
            Row(self._word(f"test.{kind}"), not_made, "unknown")
            for kind in _TESTS
            if kind not in tried
        ]
        return Section(self._word("report.tests"), tuple(rows))

    def selftest(self, facts: ReportFacts) -> Section:
        rows = tuple(
            Row(
                self._code("part", one.part),
                self._word(f"selftest.{one.answer}"),
                _ANSWER_MARKS.get(one.answer, ""),
            )
            for one in facts.selftest
        )
        return Section(self._word("report.selftest"), rows)

    def seal(self, facts: ReportFacts) -> Section:
        return Section(
            self._word("report.seal"),
            (
                Row(self._word("report.key"), facts.key_id or self._word("report.no-key")),
                Row(self._word("report.audit-head"), facts.audit_head),
                Row(self._word("report.sealed-by"), "report.jws"),
            ),
        )

    def _test(self, test: TestFacts) -> Row:
        label = " ".join(part for part in (self._word(f"test.{test.kind}"), test.camera_id) if part)
        result = self._word("report.passed" if test.is_passed else "report.failed")
        return Row(
            label,
            f"{result} · {_time(test.at)} · {test.by} · {self._details(test)}",
            _mark(test.is_passed),
        )

    def _details(self, test: TestFacts) -> str:
        """Return what the chain says of a test in the reader's words."""
        if seen := _SEEN.fullmatch(test.told):
            kinds = (self._code("kind", kind) for kind in seen["alarms"].split(", "))
            told = self._word("test.seen").replace("{n}", seen["n"])
            return told.replace("{alarms}", ", ".join(kinds))
        step, _, cause = test.told.partition(" ")
        return " · ".join(
            part for part in (self._code("step", step), self._code("gap", cause)) if part
        )

    def _more_gaps(self, camera: CameraFacts) -> Iterator[Row]:
        """Say how many gaps of the day the paper has no room for, and where they are told."""
        if camera.more_gaps:
            text = self._word("report.more-gaps").replace("{n}", str(camera.more_gaps))
            yield Row("", text.replace("{camera}", camera.camera_id), "bad")

    def _state(self, camera: CameraFacts) -> str:
        recording = {True: "recording", False: "not-recording", None: "unknown"}
        state = self._code("camera", camera.state)
        return f"{state}, {self._word(f'report.{recording[camera.is_recording]}')}"

    def _calibration(self, camera: CameraFacts) -> str:
        if camera.is_in_doubt:
            return self._word("report.check")
        return self._word("report.calibrated" if camera.is_calibrated else "report.uncalibrated")

    def _scale(self, px_per_m: tuple[float, float] | None) -> str:
        if px_per_m is None:
            return self._word("report.unknown")
        return f"{px_per_m[0]:.0f} … {px_per_m[1]:.0f} px/m"

    def _coverage(self, camera: CameraFacts) -> Row:
        label = self._word("report.gaps")
        if camera.minutes is None:
            return Row(label, self._word("report.unknown"), "unknown")
        text = self._word("report.covered")
        told = text.replace("{n}", str(camera.covered)).replace("{of}", str(camera.minutes))
        return Row(label, told, _mark(not camera.gaps))

    def _until(self, gap: GapFacts) -> str:
        return f"→ {_time(gap.until)}" if gap.until else f"→ {self._word('report.still')}"

    def _storage(self, facts: ReportFacts) -> str:
        if facts.disk_free_bytes is None or facts.disk_total_bytes is None:
            return self._word("report.unknown")
        free, total = facts.disk_free_bytes / 1e9, facts.disk_total_bytes / 1e9
        text = self._word("report.free").replace("{free}", f"{free:.1f}")
        return text.replace("{total}", f"{total:.1f}")

    def _told(self, text: str) -> str:
        return text or self._word("report.unknown")

    def _code(self, kind: str, code: str) -> str:
        """Return the page's words for a code of the box, the code itself where it has none."""
        return self._words.get(f"{kind}.{code}", code)

    def _word(self, key: str) -> str:
        return self._words[key]


_ANSWER_MARKS = {"well": "ok", "fault": "bad", "unknown": "unknown"}


def _mark(is_good: bool | None) -> str:
    return {True: "ok", False: "bad", None: "unknown"}[is_good]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
