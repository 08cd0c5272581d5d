"""Let `data` fill the medium (poleside-grow.service), while it is mounted.

Three steps that may each be cut off by the power and are done again at the next boot: the last
partition's end in the table, the kernel's view of it, the file system.
"""

import os
import sys
from pathlib import Path

from poleside_image.programs import ProgramError, run

WORTH_BYTES = 64 * 1024 * 1024  # less is not worth writing a partition table for
_SECTOR_BYTES = 512  # of /sys, whatever the medium's


def grow(partition: Path) -> str:
    """Grow one partition, given by its folder in /sys; returns what was done, for the log."""
    disk, number = partition.parent, (partition / "partition").read_text().strip()
    end = sum(int((partition / name).read_text()) for name in ("start", "size"))
    free_bytes = (int((disk / "size").read_text()) - end) * _SECTOR_BYTES
    if free_bytes < WORTH_BYTES:
        done = "fills the medium"
    else:
        device = f"/dev/{disk.name}"
        stretch(device, number)
        run(["partx", "--update", "--nr", number, device])
        done = f"grown by {free_bytes // 2**20} MiB"
    run(["resize2fs", f"/dev/{partition.name}"], within_s=240.0)
    return done


def stretch(device: str, number: str) -> None:
    """Let the last partition of the table end where the medium does."""
    table = ["sfdisk", "--quiet", "--force", "--no-reread", "--no-tell-kernel"]
    run([*table, "--relocate", "gpt-bak-std", device])  # the copy of the table, to the end
    run([*table, "-N", number, device], typed=", +\n")


def partition_of(folder: Path) -> Path | None:
    """Return /sys's folder of the partition under `folder`, None when it is in memory."""
    number = folder.stat().st_dev
    found = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return found.resolve() if (found / "partition").exists() else None


def main() -> int:
    """Grow what /data lies on; never worse than a box with little room."""
    partition = partition_of(Path("/data"))
    try:
        done = grow(partition) if partition else "lies in memory"
    except (ProgramError, OSError, ValueError) as error:
        print(f"grow: {error}", file=sys.stderr)
        return 1
    print(f"grow: data {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
