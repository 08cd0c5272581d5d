"""Event-only mode on a logged disk: what waits in memory, what events had written, what was said.

    python -m tests.faults.crash_lab.staged_workload FOLDER CLIP NOTES LOG_FOLDER VARIANT RUNS

Its memory is beside the log, off the logged disk: a power cut takes it.
"""

import json
import os
import sys
from pathlib import Path

from tests.faults.crash_lab.block_log import length_of
from tests.faults.crash_lab.box_workload import CAMERA, Note, weaken
from tests.staged_tape import StagedTape


def work(folder: Path, memory: Path, clip: Path, runs: int, note: Note) -> None:
    """Record run after run; of each, an event covers two segments, and the last ones are dropped.

    Noted are the segments that an event covers, once a turn of the stage is over.
    """
    tape = StagedTape(folder / CAMERA, memory, limit_bytes=60_000)
    handed = 0
    for number in range(runs):
        handed += tape.record(clip)
        row = tape.segments()[-3]
        tape.event(f"hit-{number}", row["start_utc_us"], row["start_utc_us"] + 3_000_000)
        tape.stage.turn()
        note("handed", frames=handed)
        for written in tape.segments():
            if written["path"].startswith("video/"):
                note("closed", path=written["path"], frames=written["frames"])


def main(folder: str, clip: str, notes: str, log_folder: str, variant: str, runs: str) -> None:
    weaken(variant)
    with Path(notes).open("w", encoding="ascii") as file:

        def note(kind: str, **facts: object) -> None:
            line = {"kind": kind, "at": length_of(Path(log_folder)), **facts}
            file.write(json.dumps(line) + "\n")

        note("begin")
        work(Path(folder), Path(log_folder) / "memory", Path(clip), int(runs), note)
        note("cut")
    os._exit(0)  # as a power cut: nobody gets to close anything


if __name__ == "__main__":
    main(*sys.argv[1:])
