"""A core killed at any moment: every hit it acknowledged is told, none is lost, none doubled."""

import subprocess
import sys
import textwrap

import pytest

from agent.messages.vision import HitState
from tests.incident_box import IncidentBox

CORE = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.messages.vision import HitState
    from tests.incident_box import IncidentBox

    log.configure("test", "error")

    async def main():
        async with IncidentBox(Path(sys.argv[1]), SystemClock()) as box:
            number = int(sys.argv[2])
            while True:
                rule = f"rule-{number % 3}"
                state = (HitState.BEGAN, HitState.CONTINUES, HitState.ENDED)[number // 3 % 3]
                hit = box.hit(state, rule=rule, hit_id=f"hit-{number:06d}", people=1)
                await box.assembler.take(hit)
                print(number, state.value, flush=True)  # the acknowledgement to the worker
                number += 1

    asyncio.run(main())
""")


def run_and_kill(folder, first, after):
    """Let a core take hits from number `first` on; kill it; return what it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", CORE, str(folder), str(first)], stdout=subprocess.PIPE, text=True
    )
    acknowledged = []
    with process:
        for line in process.stdout:
            number, state = line.split()
            acknowledged.append((int(number), state))
            if len(acknowledged) == after:
                process.kill()  # it is at the next one, or the one after
    return acknowledged


@pytest.mark.parametrize("after", [1, 7, 40])
async def test_kill_9_loses_no_acknowledged_hit_and_doubles_none(tmp_path, after):
    acknowledged = []
    for _ in range(3):
        # the last hits before the kill were perhaps taken, but not acknowledged: they come again
        first = acknowledged[-1][0] + 1 if acknowledged else 0
        acknowledged += run_and_kill(tmp_path, first, after)

    async with IncidentBox(tmp_path) as box:
        told = await box.told()
        of_hit = await box.db.run(
            lambda c: {row["hit_id"]: row["event_id"] for row in c.execute(
                "SELECT * FROM incident_hits")})  # fmt: skip
    assert [event.seq for event in told] == list(range(1, len(told) + 1))

    began = [f"hit-{number:06d}" for number, state in acknowledged if state == HitState.BEGAN]
    assert set(began) <= set(of_hit)
    told_new = [event.id for event in told if event.phase.value == "new"]
    told_end = [event.id for event in told if event.phase.value == "end"]
    assert len(told_new) == len(set(told_new))
    assert len(told_end) == len(set(told_end))
    assert {of_hit[hit] for hit in began} <= set(told_new)
    assert set(told_end) <= set(told_new)
