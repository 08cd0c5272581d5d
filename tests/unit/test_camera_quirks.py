"""What is known of a camera is data: by maker, model and firmware, a box's own rows first."""

import pytest

from agent.cameras.quirks import FILE, Quirks, quirks_of


@pytest.mark.parametrize(
    ("maker", "expected"),
    [("TP-Link", 5.0), ("tapo", 5.0), ("Ubiquiti Inc.", 30.0), ("Poleside", Quirks().pull_s)],
)
def test_a_maker_is_known_by_the_beginning_of_its_name(maker, expected):
    assert quirks_of(maker, "X", "1.0").pull_s == expected


def test_every_row_says_where_it_is_known_from():
    assert quirks_of("reolink", "", "").no_renew
    for maker in ("tp-link", "tapo", "reolink", "ubiquiti"):
        assert quirks_of(maker, "", "").why


def test_own_rows_come_first_and_broken_ones_are_left_out(tmp_path):
    row = '[[quirk]]\nmaker = "tapo"\nmodel = "C200"\nfirmware = "1.3"\npush_first = true\n'
    (tmp_path / FILE).write_text(row, "utf-8")
    assert quirks_of("Tapo", "C200 v2", "1.3.9", tmp_path).push_first
    assert not quirks_of("Tapo", "C200", "1.4", tmp_path).push_first
    assert quirks_of("Tapo", "C200", "1.4", tmp_path).pull_s == 5.0
    (tmp_path / FILE).write_text("[[quirk]]\npull_s = 900\n", "utf-8")
    assert quirks_of("Tapo", "C200", "1.3", tmp_path).pull_s == 5.0
