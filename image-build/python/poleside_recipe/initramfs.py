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

    `modules` is lib/modules/VERSION after depmod. Raises `ValueError` for a name unknown to it, but
    for one that ends in `?`: not every kernel has that.
    """
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, rest = line.partition(":")
        needs[_name(file)] = (file, rest.split())
    built_in = {_name(line) for line in (modules / "modules.builtin").read_text().splitlines()}
    order: dict[str, None] = {}
    for name in wanted:
        plain = name.rstrip("?").replace("-", "_")
        if plain in built_in or (name.endswith("?") and plain not in needs):
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


def wanted(board: str) -> list[str]:
    """Return the modules that are loaded before the root is there: the board's own, then all's."""
    named = (f"initramfs-modules-{board}.list", "initramfs-modules.list")
    lists = [IMAGE_BUILD / "boot" / name for name in named]
    return [name for path in lists if path.exists() for name in entries(path)]


def make(unpacked: Path, modules: Path, board: str) -> bytes:
    """Return the compressed initramfs; `unpacked` holds the boot packages' files."""
    order = load_order(modules, wanted(board))
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
