"""Digital lines: found by name, refused in words, safe when let go, and pressed by hand."""

import threading

import pytest

from hardware.lines import LineError, NoLines
from hardware.pick import pick_board


@pytest.fixture
def lines(tmp_path):
    return pick_board(kind="simulated", lines_folder=tmp_path / "lines").lines


def test_a_press_and_its_release_are_told_in_order(lines, tmp_path):
    bell = lines.open_input("bell", active_low=False)
    assert bell.read() is False
    assert bell.wait(0.02) == ()
    (tmp_path / "lines" / "bell").write_text("1")
    assert [edge.is_active for edge in bell.wait(5.0)] == [True]
    assert bell.read() is True
    (tmp_path / "lines" / "bell").write_text("0")
    assert [edge.is_active for edge in bell.wait(5.0)] == [False]


def test_a_line_that_is_active_low_is_told_as_what_it_means(lines, tmp_path):
    door = lines.open_input("door", active_low=True)
    assert (door.read(), (tmp_path / "lines" / "door").read_text()) == (False, "1")
    (tmp_path / "lines" / "door").write_text("0")
    assert door.read() is True


def test_a_waiting_reader_is_freed_when_the_line_is_closed(lines):
    bell = lines.open_input("bell", active_low=False)
    waiting = threading.Thread(target=bell.wait, args=(600.0,))
    waiting.start()
    bell.close()
    waiting.join(timeout=30.0)
    assert not waiting.is_alive()


@pytest.mark.parametrize("safe", [True, False])
def test_an_output_is_safe_from_the_first_moment_and_when_let_go(safe, lines, tmp_path):
    siren = lines.open_output("siren", safe=safe, active_low=False)
    file = tmp_path / "lines" / "siren"
    assert file.read_text() == str(int(safe))
    siren.set(not safe)
    assert file.read_text() == str(int(not safe))
    siren.close()
    assert file.read_text() == str(int(safe))


def test_a_line_whose_file_is_gone_says_so(lines, tmp_path):
    bell = lines.open_input("bell", active_low=False)
    (tmp_path / "lines" / "bell").unlink()
    with pytest.raises(LineError, match="no longer answers"):
        bell.read()


@pytest.mark.parametrize("name", ["../bell", ".hidden", "a/b"])
def test_a_simulated_line_never_leaves_its_folder(name, lines):
    with pytest.raises(LineError, match="can't be the name"):
        lines.open_input(name, active_low=False)


def test_a_board_without_lines_refuses_each_by_name(tmp_path):
    for lines in (NoLines(), pick_board(tmp_path).lines):
        with pytest.raises(LineError, match="GPIO17"):
            lines.open_input("GPIO17", active_low=False)
        with pytest.raises(LineError, match="GPIO17"):
            lines.open_output("GPIO17", safe=False, active_low=False)


def test_lines_are_listed_and_say_that_they_are_simulated(lines):
    lines.open_input("bell", active_low=False)
    lines.open_output("siren", safe=False, active_low=False)
    assert [(line.chip, line.name) for line in lines.list()] == [
        ("simulated", "bell"),
        ("simulated", "siren"),
    ]
