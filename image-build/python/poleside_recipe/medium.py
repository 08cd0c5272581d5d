"""Put the partitions together into one image to flash: no root, no loop device, no mount."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from poleside_recipe import layout
from poleside_recipe.run import environment, run

_BLOCK_BYTES = 4096
_GROWS_TO_BYTES = 1024**4  # larger disks are grown, too, in a layout of the kernel's own


def assemble(
    target: Path, contents: Mapping[str, Path], board: str, sizes: layout.Sizes | None = None
) -> None:
    """Write the table, an empty `data`, and what `contents` names by partition."""
    table = layout.partitions(sizes, board)
    by_name = {part.name: part for part in table}
    target.unlink(missing_ok=True)
    with target.open("wb") as image:
        image.truncate(layout.medium_bytes(table))
    script = target.with_suffix(".sfdisk")
    script.write_text(layout.sfdisk_script(table))
    with script.open("rb") as lines:
        command = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(target)]
        subprocess.run(command, check=True, env=environment(), stdin=lines)
    script.unlink()
    with target.open("r+b") as image:
        for name, source in contents.items():
            place(image, source, by_name[name])
    _place_data(target, by_name["data"])


def place(image: BinaryIO, source: Path, part: layout.Partition) -> None:
    """Copy `source` to its place. Raises `ValueError` when it is too large for it."""
    if source.stat().st_size > part.size_bytes:
        raise ValueError(f"{source} does not fit into {part.name}")
    image.seek(part.start_bytes)
    with source.open("rb") as stream:
        shutil.copyfileobj(stream, image, layout.MIB)


def _place_data(target: Path, part: layout.Partition) -> None:
    """An empty ext4, bit for bit the same: its folders are made at the first boot.

    Made for what it grows to, a card or a disk of video: with what suits 64 MiB (blocks of 1 KiB,
    an inode for every 4) the inodes would take a sixteenth of it, all written at the first boot.
    """
    identity = part.identity.lower()
    options = f"offset={part.start_bytes},hash_seed={identity},lazy_itable_init=0"
    options += f",resize={_GROWS_TO_BYTES // _BLOCK_BYTES}"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", _BLOCK_BYTES, "-i", 16 * _BLOCK_BYTES]
    command += ["-m", 1, "-L", "data", "-U", identity, "-E", options]
    run(*command, target, f"{part.size_bytes // 1024}k")
