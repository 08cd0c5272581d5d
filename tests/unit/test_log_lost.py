"""A line that can't be written is lost, and nothing else is."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
from agent.core import log
log.configure("core")
for _ in range(1000):
    log.get("db").warning("disk full", detail="x" * 100)
print("alive")
"""


def test_a_full_disk_under_the_log_ends_nobody():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.stdout == "alive\n"
