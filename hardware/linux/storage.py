"""Which medium holds a folder, how it is mounted, and how worn it says it is."""

from pathlib import Path

from hardware.interface import Medium, StorageState, Wear
from hardware.linux.files import read_int, read_text
from hardware.linux.smart import Smart, smart_of

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_WEAR = {1: Wear.NORMAL, 2: Wear.WARNING, 3: Wear.URGENT}
_SECTOR_BYTES = 512  # the unit of the kernel's statistics, whatever the disk's own is
_LIFE_STEP_PCT = 10  # eMMC tells its wear in steps of ten per cent (JESD84-B51, EXT_CSD 268/269)


class BlockStorage:
    """Facts from /proc/self/mountinfo and /sys/dev/block."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, folder: Path) -> StorageState:
        mount = self._mount_of(folder)
        if mount is None:
            return StorageState()
        numbers, filesystem, options = mount
        disk = self._disk_of(numbers)
        smart = smart_of(self._root, disk.name) if disk else Smart()
        return StorageState(
            device=disk.name if disk else None,
            model=_model(disk) if disk else None,
            filesystem=filesystem,
            is_read_only="ro" in options,
            is_in_memory=filesystem in _IN_MEMORY,
            life_used_pct=(_life_used_pct(disk) if disk else None) or smart.life_used_pct,
            wear=_wear(disk) if disk else None,
            is_failing=smart.is_failing,
            written_bytes=_written_bytes(disk) if disk else None,
            medium=_medium(disk) if disk else None,
        )

    def _mount_of(self, folder: Path) -> tuple[str, str, set[str]] | None:
        """Return (major:minor, file system, options) of the mount nearest above `folder`.

        Line format: proc(5), /proc/pid/mountinfo. Later lines hide earlier ones.
        """
        best: tuple[int, tuple[str, str, set[str]]] | None = None
        for line in (read_text(self._root / "proc/self/mountinfo") or "").splitlines():
            fields, _, tail = line.partition(" - ")
            parts, rest = fields.split(), tail.split()
            if len(parts) < 6 or len(rest) < 3:
                continue
            point = Path(_unescape(parts[4]))
            depth = len(point.parts)
            if folder.is_relative_to(point) and (best is None or depth >= best[0]):
                # a file system turned read-only after an error shows it in the last field only
                options = set(parts[5].split(",")) | set(rest[2].split(","))
                best = (depth, (parts[2], rest[0], options))
        return best[1] if best else None

    def _disk_of(self, numbers: str) -> Path | None:
        """Return the /sys folder of the whole disk: a partition lies inside its disk's folder."""
        link = self._root / "sys/dev/block" / numbers
        if not link.exists():
            return None
        device = link.resolve()
        return device.parent if (device / "partition").exists() else device


def _model(disk: Path) -> str | None:
    return read_text(disk / "device/model") or read_text(disk / "device/name")


def _medium(disk: Path) -> Medium | None:
    """Return the kind; a virtual disk may well call itself rotating."""
    if disk.name.startswith("mmcblk"):
        return Medium.CARD
    rotates = read_int(disk / "queue/rotational")
    if rotates is None:
        return Medium.SSD if disk.name.startswith("nvme") else None
    return Medium.ROTATING if rotates else Medium.SSD


def _life_used_pct(disk: Path) -> int | None:
    """Return the upper end of the worst wear step; 100 means the maker's estimate is used up."""
    steps = []
    for word in (read_text(disk / "device/life_time") or "").split():
        try:
            steps.append(int(word, 16))
        except ValueError:
            return None
    worst = max(steps, default=0)
    return min(worst * _LIFE_STEP_PCT, 100) if worst else None  # 0 = the medium does not tell


def _wear(disk: Path) -> Wear | None:
    """Return the eMMC's own word on its spare blocks (JESD84-B51, EXT_CSD 267, PRE_EOL_INFO)."""
    word = read_int(disk / "device/pre_eol_info", base=16)
    return None if word is None else _WEAR.get(word)


def _written_bytes(disk: Path) -> int | None:
    """Return field 7 of the disk's statistics (kernel: Documentation/block/stat)."""
    fields = (read_text(disk / "stat") or "").split()
    try:
        return int(fields[6]) * _SECTOR_BYTES
    except (IndexError, ValueError):
        return None


def _unescape(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
