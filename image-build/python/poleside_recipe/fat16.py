"""The boot choice partition as bytes: a FAT16 file system with autoboot.txt and nothing else.

Written here and not by mkfs, so that it is the same bits everywhere and needs no tool.
"""

import struct

SECTOR_BYTES = 512
_PER_CLUSTER, _RESERVED, _FATS, _ENTRIES = 8, 8, 2, 512
_MEDIA = 0xF8
_DATE = (46 << 9) | (1 << 5) | 1  # 2026-01-01, always


def bootcfg(size_bytes: int, autoboot: bytes, volume_id: int = 0x504F4C45) -> bytes:
    """Return the partition. `autoboot` is one sector; the size suits FAT16 (17 to 256 MiB)."""
    sectors = size_bytes // SECTOR_BYTES
    if len(autoboot) != SECTOR_BYTES or not 34_816 <= sectors <= 524_288:
        raise ValueError("autoboot.txt is one sector, the partition 17 to 256 MiB")
    root_sectors = _ENTRIES * 32 // SECTOR_BYTES
    clusters = (sectors - _RESERVED - root_sectors) // _PER_CLUSTER
    fat_sectors = -(-(clusters + 2) * 2 // SECTOR_BYTES)
    boot = bytearray(SECTOR_BYTES)
    boot[0:3] = b"\xeb\x3c\x90"
    boot[3:11] = b"POLESIDE"
    struct.pack_into(
        "<HBHBHHBHHHII", boot, 11, SECTOR_BYTES, _PER_CLUSTER, _RESERVED, _FATS, _ENTRIES,
        sectors if sectors < 65_536 else 0, _MEDIA, fat_sectors, 32, 64, 0,
        sectors if sectors >= 65_536 else 0,
    )  # fmt: skip
    struct.pack_into("<BBBI11s8s", boot, 36, 0x80, 0, 0x29, volume_id, b"BOOTCFG    ", b"FAT16   ")
    boot[510:512] = b"\x55\xaa"
    fat = struct.pack("<HHH", 0xFF00 | _MEDIA, 0xFFFF, 0xFFFF).ljust(
        fat_sectors * SECTOR_BYTES, b"\0"
    )
    label = struct.pack("<11sB10xHHHI", b"BOOTCFG    ", 0x08, 0, _DATE, 0, 0)
    entry = struct.pack("<11sB10xHHHI", b"AUTOBOOTTXT", 0x20, 0, _DATE, 2, SECTOR_BYTES)
    folder = (label + entry).ljust(root_sectors * SECTOR_BYTES, b"\0")
    head = bytes(boot).ljust(_RESERVED * SECTOR_BYTES, b"\0") + fat * _FATS + folder + autoboot
    return head.ljust(sectors * SECTOR_BYTES, b"\0")
