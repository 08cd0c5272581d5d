"""Ask each disk for its SMART facts, as root, and leave them where the agent may read them.

poleside-smart.timer -> here -> /run/poleside-smart/DISK.json -> `hardware.linux.smart`. An eMMC or
SD card is not asked: the kernel shows an eMMC's life to everybody. Of the report only what the
agent uses is kept, with the seconds since the boot, so that an old report can be told from a new
one whatever the clock says.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from poleside_image import programs, small_files

ROOT, FOLDER = Path("/"), Path("/run/poleside-smart")
KEPT = ("smart_status", "endurance_used", "nvme_smart_health_information_log")
ANSWER_WITHIN_S = 120.0  # a disk that spins up, or a bridge that tries again


def main(root: Path = ROOT, folder: Path = FOLDER) -> int:
    """Ask all disks; what one does not tell is unknown, which is no failure of ours."""
    told = {disk: _told(disk) for disk in disks(root)}
    uptime_s = float((root / "proc/uptime").read_text().split()[0])
    for disk, facts in told.items():
        file = folder / f"{disk}.json"
        if facts:
            small_files.write(file, {"uptime_s": uptime_s, **facts})
        else:
            file.unlink(missing_ok=True)
    for gone in folder.glob("*.json"):
        if gone.stem not in told:
            gone.unlink()
    return 0


def disks(root: Path) -> Iterator[str]:
    """Yield the names of whole disks with a device behind them, no cards."""
    for disk in sorted((root / "sys/block").glob("*")):
        if (disk / "device").exists() and not disk.name.startswith("mmcblk"):
            yield disk.name


def _told(disk: str) -> Mapping[str, Any]:
    command = ["smartctl", "--json", "--health", "--attributes", f"/dev/{disk}"]
    try:
        report = programs.ask(command, ANSWER_WITHIN_S)  # its exit code is a set of warnings
    except programs.ProgramError as error:
        sys.stderr.write(f"smart: {disk}: {error}\n")
        return {}
    return {key: report[key] for key in KEPT if key in report}


if __name__ == "__main__":
    sys.exit(main())
