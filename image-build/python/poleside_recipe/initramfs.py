"""The initramfs as bytes: busybox, a static e2fsck, the modules in their order, and `boot/init`.

Written here and not by Debian's initramfs-tools, which would run under emulation for minutes and
bring a program for every case. The same input is the same bits.
"""

import lzma
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import zstandard

from poleside_recipe.parts import IMAGE_BUILD, entries

FOLDERS = ("bin", "dev", "modules", "proc", "root", "run", "sys")


def load_order(modules: Path, wanted: Iterable[str]) -> list[Path]:
    """Return the files of the wanted modules and what they need, each after what it needs.

    `modules` is lib/modules/VERSION after depmod. Raises `ValueError` for a name unknown to it.
    """
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, rest = line.partition(":")
        needs[_name(file)] = (file, rest.split())
    built_in = {_name(line) for line in (modules / "modules.builtin").read_text().splitlines()}
    order: dict[str, None] = {}
    for name in wanted:
        plain = name.replace("-", "_")
        if plain in built_in:
            continue
        if plain not in needs:
            raise ValueError(f"this kernel has no module {name}")
        file, first = needs[plain]
        order |= dict.fromkeys([*reversed(first), file])  # depmod lists the deepest need last
    return [modules / file for file in order]


def _name(file: str) -> str:
    return Path(file).name.split(".ko")[0].replace("-", "_")


def archive(files: Mapping[str, bytes | str], programs: Iterable[str] = ()) -> bytes:
    """Return a cpio (newc): a `str` is a link's target; `programs` may be run. Owned by root."""
    lines = bytearray()
    paths = dict.fromkeys(FOLDERS, (stat.S_IFDIR | 0o755, b""))
    for name, content in files.items():
        if isinstance(content, str):
            paths[name] = (stat.S_IFLNK | 0o777, content.encode())
        else:
            mode = 0o755 if name in programs else 0o644
            paths[name] = (stat.S_IFREG | mode, content)
    for number, (name, (mode, content)) in enumerate(sorted(paths.items()), start=1):
        lines += _entry(number, name, mode, content)
    lines += _entry(0, "TRAILER!!!", 0, b"")
    return bytes(lines)


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    head = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    text = b"070701" + b"".join(b"%08X" % field for field in head) + name.encode() + b"\0"
    return _padded(text) + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def make(unpacked: Path, modules: Path) -> bytes:
    """Return the compressed initramfs; `unpacked` holds the boot packages' files."""
    order = load_order(modules, entries(IMAGE_BUILD / "boot/initramfs-modules.list"))
    files: dict[str, bytes | str] = {
        "init": (IMAGE_BUILD / "boot/init").read_bytes(),
        "bin/busybox": (unpacked / "usr/bin/busybox").read_bytes(),
        "bin/e2fsck": (unpacked / "usr/sbin/e2fsck.static").read_bytes(),
    }
    programs = tuple(files)
    for file in order:
        content = file.read_bytes()
        files[f"modules/{_name(file.name)}.ko"] = (
            lzma.decompress(content) if file.suffix == ".xz" else content
        )  # busybox reads no .xz
    files["modules/order"] = "".join(f"{_name(file.name)}.ko\n" for file in order).encode()
    return zstandard.ZstdCompressor(level=19).compress(archive(files, programs))
