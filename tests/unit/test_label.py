"""Labels are made before the boxes are: a sheet to print, and for each box what its stick says."""

import os
import re
import stat

import pytest
from click.testing import CliRunner
from poleside_image import label as on_the_box

from agent.core.errors import CommandError
from agent.local.access.claim import new_secret
from agent.local.access.label import drawn, found_in, label_of
from agent.local.cli.claim import claim


def test_each_box_of_a_sheet_has_a_secret_of_its_own_that_the_image_takes(tmp_path):
    folder = tmp_path / "sheet"
    told = CliRunner().invoke(claim, ["labels", str(folder), "--count", "3"])
    assert told.exit_code == 0, told.output
    page = (folder / "labels.html").read_text()
    found = set()
    for number in (1, 2, 3):
        stick = folder / f"{number:03}"
        secret, trouble = on_the_box.find(stick, tmp_path / "none", tmp_path / "keys")
        assert trouble.startswith("the label's secret can't be kept")  # nothing else is wrong
        assert (stick / "label.txt").read_text().strip().partition("#")[2] in page
        found.add(secret)
    assert len(found) == 3
    assert page.count("<svg") == 3
    assert not re.search(r"(src|href)=", page)  # nothing of it is fetched
    assert "secret" not in told.output.lower()


def test_labels_are_readable_to_their_maker_alone_and_never_overwritten(tmp_path):
    folder = tmp_path / "sheet"
    umask = os.umask(0)
    try:
        CliRunner().invoke(claim, ["labels", str(folder)])
    finally:
        os.umask(umask)
    for file in ("labels.html", "001/label.txt"):
        assert stat.S_IMODE((folder / file).stat().st_mode) == 0o600
    before = (folder / "001/label.txt").read_text()
    assert CliRunner().invoke(claim, ["labels", str(folder)]).exception
    assert (folder / "001/label.txt").read_text() == before


def test_what_the_box_shows_at_its_console_is_drawn(tmp_path):
    on_the_box.tell(tmp_path / "run", new_secret().replace("-", ""), "poleside-1", os.getegid())
    shown = (tmp_path / "run/label.txt").read_text()
    told = CliRunner().invoke(claim, ["qr"], input=shown)
    assert told.exit_code == 0, told.output
    assert told.output.strip() == drawn(found_in(shown)).strip()
    assert max(map(len, told.output.splitlines())) <= 80  # a console's width
    assert len(told.output.splitlines()) <= 25


@pytest.mark.parametrize("wrong", ["", "https://10.77.1.1:8470/claim#", "https://a/claim#0123"])
def test_what_is_no_label_is_said(wrong):
    with pytest.raises(CommandError):
        found_in(wrong)


def test_an_address_can_t_write_into_the_sheet():
    with pytest.raises(CommandError):
        label_of(new_secret(), "https://10.77.1.1:8470/<b> x")
