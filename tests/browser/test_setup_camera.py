"""Zones and lines drawn with a finger on the picture, at phone size, and stored as rules."""

import json
from collections.abc import Callable

import pytest

from tests.browser.chromium import Browser
from tests.browser.finger import open_picture
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import claimed_box, cookie_of

Browse = Callable[..., Browser]

CORNERS = "return document.querySelectorAll('.corner').length === arguments[0]"
RULES = "return document.querySelectorAll('[data-rule]').length === arguments[0]"


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        yield box


def open_camera(browser, box):
    return open_picture(browser, box, "/setup/cameras/gate")


def rules_of(box):
    return {rule.rule_id: rule for rule in box.config.settings.camera("gate").rules}


def is_near(outline, points):
    return all(
        abs(x - px) < 0.02 and abs(y - py) < 0.02
        for (x, y), (px, py) in zip(outline, points, strict=True)
    )


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_zone_is_drawn_mended_undone_and_kept(box, browse: Browse, tmp_path, language):
    browser = browse(language)
    finger = open_camera(browser, box)
    browser.click("#new")
    finger.tap((0.2, 0.3), (0.7, 0.3), (0.7, 0.8), (0.4, 0.5))
    browser.wait(CORNERS, 4)
    browser.click("#undo")
    browser.wait(CORNERS, 3)
    finger.tap((0.2, 0.6))
    browser.wait(CORNERS, 4)
    finger.drag((0.2, 0.6), (0.21, 0.7), (0.2, 0.85))
    browser.wait("return document.querySelector('.loupe')?.hidden === false")
    looks_good(browser, tmp_path / f"loupe-{language}.png")
    finger.lift()
    browser.wait("return document.querySelector('.loupe').hidden")
    assert serious_of(browser) == []
    browser.click("#save")
    browser.wait(RULES, 1)
    looks_good(browser, tmp_path / f"zone-{language}.png")
    rule = rules_of(box)["intrusion-1"]
    assert is_near(rule.outline, [(0.2, 0.3), (0.7, 0.3), (0.7, 0.8), (0.2, 0.85)])
    assert [change.retuned for change in box.changes_applied] == [("gate",)]  # nothing restarts
    (told,) = [one for one in box.entries() if one.op == "settings.change"]
    assert told.actor == "page:kim"
    assert browser.complaints() == []


def test_a_line_has_two_ends_and_a_rule_is_moved_and_removed(box, browse: Browse):
    browser = browse()
    finger = open_camera(browser, box)
    browser.run("document.querySelector('#kind').value = 'line-crossing'")
    browser.click("#new")
    finger.tap((0.1, 0.5), (0.9, 0.5), (0.5, 0.1))
    browser.wait(CORNERS, 2)
    browser.click("#save")
    browser.wait(RULES, 1)
    assert is_near(rules_of(box)["line-crossing-1"].outline, [(0.1, 0.5), (0.9, 0.5)])

    browser.run("document.querySelectorAll('[data-rule] button')[0].click()")
    browser.wait(CORNERS, 2)
    finger.drag((0.9, 0.5), (0.8, 0.6), (0.8, 0.8))
    finger.lift()
    browser.click("#save")
    browser.wait("return !document.querySelector('.corner')")
    assert is_near(rules_of(box)["line-crossing-1"].outline, [(0.1, 0.5), (0.8, 0.8)])

    browser.run("document.querySelectorAll('[data-rule] button')[1].click()")
    browser.wait(RULES, 0)
    assert rules_of(box) == {}


def test_what_is_no_zone_is_refused_and_said(box, browse: Browse):
    browser = browse()
    finger = open_camera(browser, box)
    browser.click("#new")
    finger.tap((0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8))  # crosses itself
    browser.wait(CORNERS, 4)
    browser.click("#save")
    browser.wait("return document.querySelector('[data-code=\"settings.invalid\"]')")
    assert rules_of(box) == {}


def test_a_rule_keeps_what_else_it_was_told(box):
    cookie = cookie_of(box.take_over())
    csrf = box.csrf(cookie)
    path = "/setup/cameras/gate/rules"

    def put(points, **fields):
        told = {"rule_id": "z", "kind": "loitering", "points": json.dumps(points)} | fields
        return box.send(path, cookie, csrf=csrf, **told).status

    square = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
    assert put(square) == 200
    assert put(square) == 200  # as it is: nothing to do
    assert len(box.changes_applied) == 1
    assert put([[0.2, 0.1], *square[1:]], kind="intrusion") == 200
    assert rules_of(box)["z"].kind.value == "loitering"
    for bad in ("", "[[1]]", "[[0,0],[2,2],[1,0]]", json.dumps(square * 30), "nonsense"):
        assert (
            box.send(path, cookie, csrf=csrf, rule_id="q", kind="intrusion", points=bad).status
            == 409
        )
    assert put(square, rule_id="q", kind="flood") == 409
    assert put(square, rule_id="../x") == 409
    assert set(rules_of(box)) == {"z"}
