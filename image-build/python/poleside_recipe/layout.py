"""Where the partitions lie: one table, as a script for sfdisk and as offsets for the assembly.

All identities are fixed, so that two builds are the same bits; both slots have the same sizes, so
that either takes what the other holds.
"""

import uuid
from dataclasses import dataclass

MIB = 1024 * 1024
SECTOR_BYTES = 512
_NAMESPACE = uuid.UUID("5f0f7a52-8f0c-5d7e-9a55-706f6c657369")

# Types as the firmware and systemd know them.
BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"  # FAT, read by a Raspberry Pi's firmware
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # FAT, where UEFI looks for what it starts
ROOT_ARM64 = "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; `start_bytes` from the begin of the medium."""

    name: str
    kind: str
    start_bytes: int
    size_bytes: int

    @property
    def identity(self) -> str:
        """Its PARTUUID, the same on every box: boxes are told apart by what is on `data`."""
        return str(uuid.uuid5(_NAMESPACE, self.name)).upper()


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes in MiB. `data_mib` is what is shipped; the first boot grows it to the whole medium."""

    boot_mib: int = 128
    system_mib: int = 1024
    data_mib: int = 64


def partitions(sizes: Sizes | None = None, board: str = "rpi") -> tuple[Partition, ...]:
    """Return the table in the order the boot choice counts on: 1 bootcfg, 2 and 3 boot."""
    sizes = sizes or Sizes()
    plan = (
        ("bootcfg", EFI_SYSTEM if board == "virt" else BASIC_DATA, 32),
        ("boot_a", BASIC_DATA, sizes.boot_mib),
        ("boot_b", BASIC_DATA, sizes.boot_mib),
        ("system_a", ROOT_ARM64, sizes.system_mib),
        ("system_b", ROOT_ARM64, sizes.system_mib),
        ("data", LINUX, sizes.data_mib),
    )
    # 4 MiB: the erase block of common cards, so that a write to one partition wears no other.
    found, at_mib = [], 4
    for name, kind, size_mib in plan:
        found.append(Partition(name, kind, at_mib * MIB, size_mib * MIB))
        at_mib += -(-size_mib // 4) * 4
    return tuple(found)


def medium_bytes(table: tuple[Partition, ...]) -> int:
    """Return the image's size: 1 MiB behind the last partition holds the table's second copy."""
    return table[-1].start_bytes + table[-1].size_bytes + MIB


def sfdisk_script(table: tuple[Partition, ...]) -> str:
    """Return what `sfdisk IMAGE` reads. `no-automount`: root is mounted by name, never guessed."""
    lines = [
        "label: gpt",
        f"label-id: {str(uuid.uuid5(_NAMESPACE, 'medium')).upper()}",
        "unit: sectors",
        f"sector-size: {SECTOR_BYTES}",
        "",
    ]
    for number, part in enumerate(table, start=1):
        fields = [
            f"start={part.start_bytes // SECTOR_BYTES}",
            f"size={part.size_bytes // SECTOR_BYTES}",
            f"type={part.kind}",
            f"uuid={part.identity}",
            f'name="{part.name}"',
        ]
        if part.kind == ROOT_ARM64:
            fields.append('attrs="RequiredPartition GUID:63"')
        lines.append(f"{number} : {', '.join(fields)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(sfdisk_script(partitions()), end="")
