"""The parts of the set-up pages that change while a technician looks."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request

from agent.local.setup.changes import CenterWay
from agent.local.setup.site_tests import Seen, SiteTest
from agent.local.web.pages import Pages, without_secrets
from agent.local.web.parts import Part, out_of_band
from agent.local.web.view import BoxState
from agent.local.web.words import language_of

# Which of the box's faults belong to which line of the self-test.
_LINES: Final = {
    "disk": re.compile(r"(disk|storage)\."),
    "heat": re.compile(r"board\.(hot|too_hot|throttled|fan|sheds)"),
    "supply": re.compile(r"board\.(under_voltage|on_battery)"),
    "uplink": re.compile(r"(link|outbox)\."),
    "clock": re.compile(r"clock\."),
}


def macros_of(pages: Pages, request: Request) -> Any:
    """Return the macros of `setup_parts.html` for who asks."""
    language, csrf = language_of(request), request.state.session.csrf
    return pages.macros("setup_parts.html", language, csrf=csrf, mark=mark_of)


def mark_of(epr: str) -> str:
    """Return an element's id for a camera that was found."""
    return f"found-{hashlib.sha256(epr.encode()).hexdigest()[:10]}"


class SetupParts:
    """Made of `macros_of` who asks."""

    def __init__(self, macros: Any) -> None:
        self.macros = macros

    def self_test(self, told: BoxState) -> Part:
        """Return the five lines of the self-test."""
        state = without_secrets(told)
        of_box = [one for one in state.faults if not one.camera_id]
        lines = []
        for name, is_of in _LINES.items():
            faults = [one for one in of_box if is_of.match(one.code)]
            is_well = False if faults else _is_well(name, state)
            word = {True: "good", False: "bad", None: "unknown"}[is_well]
            lines.append((name, word, faults))
        return Part("selftest", self.macros.self_test(state, lines))

    def known(self, told: BoxState, camera_id: str) -> Part:
        """Return how a camera of the settings does."""
        state = without_secrets(told)
        camera = next((one for one in state.cameras if one.camera_id == camera_id), None)
        faults = [one for one in state.faults if one.camera_id == camera_id]
        return Part(f"known-{camera_id}", self.macros.doing(camera, faults))

    def way(self, way: CenterWay) -> Iterator[Part]:
        """Yield how the center is reached, and whether a change of it waits for a word."""
        now = self.macros.say_way(without_secrets(way).urls)
        yield Part("way-now", now)
        yield from self.trial("way", "/setup/confirm", way.confirm_within_s)

    def trial(self, kind: str, path: str, left_s: float | None) -> Iterator[Part]:
        """Yield a change of the `kind` "way" or "net" that waits, or not, for a word."""
        yield self.waiting(kind, path, left_s)
        yield Part(f"{kind}-left", self.macros.left(kind, left_s))

    def over(
        self, kind: str, asked: Mapping[str, str], left_s: float | None, *, is_kept: bool
    ) -> list[Markup]:
        """Return what is to be said when the page shows a trial that is over by now."""
        waited = self.waiting(kind, "", 0.0).have
        if left_s is not None or asked.get(f"{kind}-trial") != waited:
            return []
        said = ("way-kept", "good") if is_kept else (f"{kind}-back", "bad")
        return [out_of_band(f"{kind}-answer", self.macros.pill(*said, kind))]

    def waiting(self, kind: str, path: str, left_s: float | None) -> Part:
        """Return the button that confirms; its mark is whether it waits, not for how long."""
        body = self.macros.trial(kind, path, left_s)
        return Part(f"{kind}-trial", body, built_of="none" if left_s is None else "waits")

    def tests(self, asked: Iterable[str], results: Iterable[Seen]) -> Iterator[Part]:
        """Yield the tests `asked` for by the names of their parts.

        One that is not under way keeps on the page what came of it last.
        """
        under_way = {name_of(one.kind, one.camera_id): one for one in results}
        for name in asked:
            what, _, of = name.partition("-")
            if what == "go":
                yield self.test_go(of, is_running=of in under_way)
            elif what == "test" and of in under_way:
                seen = under_way[of]
                yield self.test_seen(of, seen, "passed" if seen.is_passed else "running")

    def test_seen(self, of: str, seen: Seen | None, verdict: str = "") -> Part:
        """Return what is seen of a test; None: nothing yet."""
        return Part(f"test-{of}", self.macros.test_seen(seen, verdict))

    def test_go(self, of: str, *, is_running: bool) -> Part:
        """Return the button that begins or ends a test."""
        kind, _, camera_id = of.partition("-")
        return Part(f"go-{of}", self.macros.test_go(kind, camera_id, is_running))

    def panels(self, kinds: Iterable[SiteTest], camera_id: str, results: list[Seen]) -> Any:
        """Return the whole panels of some tests, as a page begins with them."""
        names = [name_of(kind, camera_id) for kind in kinds]
        parts = {f"test-{of}": self.test_seen(of, None) for of in names}
        asked = [f"{what}-{of}" for of in names for what in ("test", "go")]
        parts |= {part.name: part for part in self.tests(asked, results)}
        return [self.macros.test(kind, camera_id, parts) for kind in kinds]


def proposed(name: str, taken: Iterable[str]) -> str:
    """Return a free short name for a camera that calls itself `name`."""
    known = set(taken)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:28]
    if slug and slug not in known:
        return slug
    stem = slug or "camera"
    return next(one for n in range(1, len(known) + 2) if (one := f"{stem}-{n}") not in known)


def name_of(kind: str, camera_id: str) -> str:
    """Return what the parts of a test are called by."""
    return f"{kind}-{camera_id}" if camera_id else str(kind)


def _is_well(name: str, state: BoxState) -> bool | None:
    board = state.board
    return {
        "disk": None if state.disk.free_bytes is None else True,
        "heat": None if board.temperature_c is None else board.is_throttled is not True,
        "supply": None if board.is_undervolted is None else not board.is_undervolted,
        "uplink": state.link.is_connected,
        "clock": state.tq in ("ntp", "gnss"),
    }[name]
