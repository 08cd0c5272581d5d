"""Compares the GOPs a clip should hold with those it holds, and names every difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from agent.evidence.clip_gops import ClipGop
from agent.evidence.gop import Gop
from agent.evidence.manifest import KeyFrameOnly

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAME_SIZE_BYTES = 64  # a flipped byte can end or begin zeros that do not count


class FindingKind(StrEnum):
    """What is wrong with a clip."""

    UNREADABLE = "unreadable"
    NO_MANIFEST = "no-manifest"
    MANIFEST_CHANGED = "manifest-changed"
    WRONG_KEY = "wrong-key"
    CHAIN_BROKEN = "chain-broken"
    FORGED_HEAD = "forged-head"
    REWRITTEN = "rewritten"
    UNSHOWN = "unshown"
    CHANGED = "changed"
    SPLICED = "spliced"
    INSERTED = "inserted"
    MISSING = "missing"
    CUT = "cut"
    REORDERED = "reordered"
    REPEATED = "repeated"
    OTHER_VIDEO = "other-video"
    PARAMETERS_CHANGED = "parameters-changed"
    CONTAINER_CHANGED = "container-changed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `gop` counts the clip's GOPs from 1 as they should be."""

    kind: FindingKind
    message: str
    gop: int | None = None


@dataclass(frozen=True, slots=True)
class ExpectedGop:
    """One GOP the manifest promises. `rest` are digests of its frames that the clip leaves out."""

    run: int
    gop: Gop
    rest: tuple[bytes, ...] = ()
    thinned: KeyFrameOnly | None = None

    @property
    def frames(self) -> int:
        """How many of its frames are in the clip."""
        return 1 if self.thinned else self.gop.frames - len(self.rest)


def compare(expected: Sequence[ExpectedGop], found: Sequence[ClipGop]) -> list[Finding]:
    """Return what differs, in the order of the clip; empty when every GOP is in its place."""
    contents = _contents(expected, found)
    if expected and not set(contents) & {one.gop.content for one in expected}:
        return [_other_video(expected, found)]
    return _Comparison(expected, found, contents).run()


def _contents(expected: Sequence[ExpectedGop], found: Sequence[ClipGop]) -> list[bytes]:
    """Return the found GOPs' contents; one cut or thinned as promised counts as whole."""
    contents = [one.hash.digest() for one in found]
    for cut in (one for one in expected if one.rest):
        for number, one in enumerate(found):
            if one.hash.frames == cut.frames and one.hash.digest(cut.rest) == cut.gop.content:
                contents[number] = cut.gop.content
    thinned = {one.thinned.key_frame: one for one in expected if one.thinned}
    for number, found_gop in enumerate(found):
        promised = thinned.get(found_gop.hash.frame_digests[0])
        if promised is None or promised.thinned is None or found_gop.hash.frames > 1:
            continue
        if found_gop.hash.digest_with(promised.thinned.tail) == promised.gop.content:
            contents[number] = promised.gop.content
    return contents


class _Comparison:
    """Walks both lists side by side; linear, whatever a forger hands in."""

    def __init__(
        self, expected: Sequence[ExpectedGop], found: Sequence[ClipGop], contents: list[bytes]
    ) -> None:
        self._expected, self._found, self._contents = expected, found, contents
        self._places: dict[bytes, list[int]] = {}
        for number, one in enumerate(expected):
            self._places.setdefault(one.gop.content, []).append(number)
        self._last_seen = {content: number for number, content in enumerate(contents)}
        self._taken: set[int] = set()
        self._at = self._next = 0
        self.findings: list[Finding] = []

    def run(self) -> list[Finding]:
        while self._next < len(self._found):
            if self._at in self._taken:  # it came too early
                self._at += 1
            else:
                self._step()
        rest = [n for n in range(self._at, len(self._expected)) if n not in self._taken]
        if rest:
            self._cut(rest)
        return self.findings

    def _step(self) -> None:
        content = self._contents[self._next]
        here = self._expected[self._at] if self._at < len(self._expected) else None
        if here is not None and content == here.gop.content:
            self._take(self._at)
            self._at += 1
            self._next += 1
            return
        later = self._later_place(content)
        if later is not None:
            self._misplaced(later)
        elif content in self._places:
            self._repeated(self._places[content][0])
        elif here is None or self._comes_later(here):
            self._inserted()
        else:
            self._replaced(here)

    def _misplaced(self, later: int) -> None:
        here = self._expected[self._at]
        if self._comes_later(here):
            self._take(later)
            self._say(
                FindingKind.REORDERED,
                later,
                f"stands where {self._name(self._at)} belongs",
            )
            self._next += 1
            return
        self._say(FindingKind.MISSING, self._at, "is missing")
        self._at += 1

    def _repeated(self, place: int) -> None:
        self._say(
            FindingKind.REPEATED,
            place,
            f"is shown again at second {self._found[self._next].start_s:.1f} of the clip (rewound)",
        )
        self._next += 1

    def _inserted(self) -> None:
        before = min(self._at, len(self._expected) - 1)
        where = "behind" if self._at >= len(self._expected) else "ahead of"
        second = self._found[self._next].start_s
        self.findings.append(
            Finding(
                FindingKind.INSERTED,
                f"At second {second:.1f}, {where} {self._name(before)}, video was inserted that"
                " this chain never had.",
                before + 1,
            )
        )
        self._next += 1

    def _replaced(self, here: ExpectedGop) -> None:
        found = self._found[self._next]
        differs = abs(found.hash.size_bytes - here.gop.size_bytes)
        is_same_shape = found.hash.frames == here.frames and (
            differs <= _SAME_SIZE_BYTES or bool(here.rest) or here.thinned is not None
        )
        if found.is_broken or is_same_shape:
            self._say(FindingKind.CHANGED, self._at, "was changed: its bytes or times are others")
        else:
            self._say(
                FindingKind.SPLICED,
                self._at,
                "does not hold what was recorded (spliced in, frames left out, or encoded anew):"
                f" {found.hash.frames} frames, {found.hash.size_bytes} bytes in place of"
                f" {here.frames} frames, {here.gop.size_bytes} bytes",
            )
        self._at += 1
        self._next += 1

    def _cut(self, rest: list[int]) -> None:
        is_end = rest == list(range(rest[0], len(self._expected)))
        kind = FindingKind.CUT if is_end else FindingKind.MISSING
        for number in rest:
            self._say(kind, number, "is missing: the end was cut off" if is_end else "is missing")

    def _take(self, place: int) -> None:
        self._taken.add(place)

    def _later_place(self, content: bytes) -> int | None:
        places = self._places.get(content, [])
        return next((n for n in places if n > self._at and n not in self._taken), None)

    def _comes_later(self, here: ExpectedGop) -> bool:
        return self._last_seen.get(here.gop.content, -1) > self._next

    def _say(self, kind: FindingKind, place: int, what: str) -> None:
        self.findings.append(Finding(kind, f"{self._name(place)} {what}.", place + 1))

    def _name(self, place: int) -> str:
        one = self._expected[place]
        at = _EPOCH + timedelta(microseconds=one.gop.start_us)
        return (
            f"GOP {place + 1} (run {one.run}, number {one.gop.seq},"
            f" {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC)"
        )


def _other_video(expected: Sequence[ExpectedGop], found: Sequence[ClipGop]) -> Finding:
    frames = sum(one.hash.frames for one in found)
    promised = sum(one.frames for one in expected)
    why = "encoded anew" if frames == promised else "other video"
    return Finding(
        FindingKind.OTHER_VIDEO,
        f"None of the {len(expected)} GOPs from GOP 1 on is the one that was recorded: {why},"
        f" {frames} frames in place of {promised}.",
        1,
    )
