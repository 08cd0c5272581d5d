"""SMART facts of a disk, from the report that a timer of the image leaves as a file.

Asking a disk takes root; the agent has none. `poleside-smart.timer` runs `smartctl --json` once a
day and keeps the answer under /run/poleside-smart/. Without that file, or with an old one, the
facts are unknown: its age is told in seconds since the boot, whatever the clock says.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hardware.linux.files import read_text

FOLDER = "run/poleside-smart"
FRESH_S = 49 * 3600.0  # two questions missed


@dataclass(frozen=True, slots=True)
class Smart:
    """What the disk says of itself. `life_used_pct` may pass 100: then it lives on credit."""

    is_failing: bool | None = None
    life_used_pct: int | None = None


def smart_of(root: Path, disk: str) -> Smart:
    """Return the facts of `disk` ("sda", "nvme0n1"); what the report does not hold is None."""
    try:
        report = json.loads(read_text(root / FOLDER / f"{disk}.json") or "")
    except ValueError:
        return Smart()
    if not _is_fresh(root, _at(report, "uptime_s")):
        return Smart()
    passed = _at(report, "smart_status", "passed")
    used = _at(report, "endurance_used", "current_percent")  # smartctl 7.4 and newer, every kind
    if used is None:
        used = _at(report, "nvme_smart_health_information_log", "percentage_used")
    return Smart(
        is_failing=not passed if isinstance(passed, bool) else None,
        life_used_pct=used if isinstance(used, int) and not isinstance(used, bool) else None,
    )


def _is_fresh(root: Path, asked_s: object) -> bool:
    """Whether a report was taken in this boot, `asked_s` after it, and not long ago."""
    try:
        now_s = float((read_text(root / "proc/uptime") or "").split()[0])
    except (IndexError, ValueError):
        return False
    return isinstance(asked_s, int | float) and 0 <= now_s - asked_s <= FRESH_S


def _at(report: object, *keys: str) -> Any:
    for key in keys:
        if not isinstance(report, dict):
            return None
        report = cast("dict[str, object]", report).get(key)
    return report
