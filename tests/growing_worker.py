"""A box with a camera worker that leaks on order: the agent as it is, beside a thread that hoards.

`python -m tests.growing_worker SETTINGS STEADY_S`: workers count as steady after STEADY_S; the one
whose pid is in SETTINGS.leak grows by LEAK_BYTES.
"""

import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agent.app import process, replacing
from agent.app.process_table import process_table
from agent.app.supervisor import Supervisor
from agent.core import log
from agent.core.clock import SystemClock
from agent.settings import load

LEAK_BYTES, STEP_BYTES, EVERY_S = 200 << 20, 1 << 20, 0.02
LEAK = ".leak"
HOARD = []


def leak(order):
    mine = str(os.getpid())
    while len(HOARD) < LEAK_BYTES // STEP_BYTES:
        threading.Event().wait(EVERY_S)
        with suppress(OSError):
            if order.read_text() == mine:
                HOARD.append(bytearray(b"x" * STEP_BYTES))


def leaking(row, order):
    """Return a row whose processes leak when they are told to."""

    def body(settings, link):
        threading.Thread(target=leak, args=[order], daemon=True).start()
        return row.body(settings, link)

    return replace(row, body=body)


def main(file, steady_s):
    process.STEADY_S = replacing.STEADY_S = steady_s
    table, order = load.read_file(Path(file)), Path(file).with_suffix(LEAK)
    settings, clock = load.validate(table), SystemClock()
    log.configure("supervisor", settings.log_level, clock)

    def rows(settings):
        return [leaking(row, order) if row.body else row for row in process_table(settings)]

    raise SystemExit(Supervisor(settings, table, clock, rows=rows).run())


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
