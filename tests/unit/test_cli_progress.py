"""A command that takes its time says so where a person looks, and nowhere else."""

import os
import pty
import subprocess
import sys

import pytest

from agent.simulators.broker import free_port

SEARCH = (sys.executable, "-m", "agent.local.cli.main", "cameras", "discover")


def search(*words, stderr):
    silent = ("--host", "127.0.0.0/31", "--wait", "0.2", "--port", str(free_port()))
    return subprocess.run(
        [*SEARCH, *silent, *words], stdout=subprocess.PIPE, stderr=stderr, timeout=60, check=True
    )


@pytest.mark.parametrize(("words", "is_shown"), [((), True), (("--json",), False)])
def test_a_terminal_is_told_and_the_line_is_gone_at_the_end(words, is_shown):
    ours, theirs = pty.openpty()
    try:
        search(*words, stderr=theirs)
        os.write(theirs, b".")  # the end of it
        shown = b""
        while not shown.endswith(b"."):
            shown += os.read(ours, 10_000)
    finally:
        os.close(theirs)
        os.close(ours)
    assert (b"Searching" in shown) is is_shown
    assert shown.endswith(b"\r\x1b[K." if is_shown else b".")


def test_a_pipe_hears_nothing():
    done = search(stderr=subprocess.PIPE)
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout
