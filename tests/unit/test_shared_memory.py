"""A forked child's own objects lie in pages of their own, not in holes of what it shares."""

import subprocess
import sys

# In an interpreter of its own: what is filled stays filled.
_PROBE = """
import sys
from agent.app import memory
scattered = [bytes(300) for _ in range(2000)]
del scattered[::2]
memory.make_shareable()
shared = {id(one) // 4096 for one in scattered + memory._filling}
mine = [bytes(300) for _ in range(400)]
among = sum(id(one) // 4096 in shared for one in mine)
late = [name for name in ("encodings.idna", "_strptime") if name not in sys.modules]
print(among, late)
"""

_CHILD = """
import os, subprocess, sys
from agent.app import memory
def said(status):
    return [line.split()[1] for line in status.splitlines() if line.startswith("THP_enabled")]
memory.take_small_pages()
run = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True)
with open("/proc/self/status") as file:
    print(said(file.read()) + said(run.stdout))
"""


def test_what_a_worker_makes_after_the_fork_lies_in_no_hole_of_what_it_shares():
    done = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True
    )
    among, late = done.stdout.split(maxsplit=1)
    assert int(among) < 50, "objects went into the holes of what was there"
    assert late.strip() == "[]"


def test_no_process_of_the_agent_is_given_huge_pages_it_did_not_ask_for():
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True
    )
    assert "1" not in done.stdout
    assert done.stdout.count("0") in {0, 2}, "a kernel that has them says so, of parent and child"
