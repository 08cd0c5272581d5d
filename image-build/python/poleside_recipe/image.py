"""`make image`: from package lists and locked wheels to an image to flash, stage by stage.

Run as root: files in the root have owners. No loop device and no mount is needed. The base is
kept, by the hash of what it is made of, since it is nearly the whole cost: 7 CPU minutes of 8.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from poleside_image.boot_choice import FIRST, to_sector

from poleside_recipe import layout, tree
from poleside_recipe.fat16 import bootcfg
from poleside_recipe.parts import (
    BOARDS,
    IMAGE_BUILD,
    SUITES,
    Variant,
    base_key,
    entries,
    packages,
    wheel_lock,
)

EPOCH = 1_767_225_600  # 2026-01-01: every time stamp in an image
SBIN = "/usr/sbin:/sbin"
# program -> Debian package, and what it is for
TOOLS = {
    "mmdebstrap": ("mmdebstrap", "the Debian base"),
    "qemu-aarch64-static": ("qemu-user-static", "arm64 programs while the base is made"),
    "mkfs.erofs": ("erofs-utils", "the read-only root"),
    "sfdisk": ("fdisk", "the partition table"),
    "mke2fs": ("e2fsprogs", "the data partition"),
}
VERIFY_TOOLS = {
    "nft": ("nftables", "whether the firewall's file is understood"),
    "systemd-analyze": ("systemd", "how exposed the units are"),
    "rauc": ("rauc", "signed bundles"),
    "qemu-system-aarch64": ("qemu-system-arm", "boots"),
}
NOT_BUILT_YET = (
    "kernel, initramfs and device tree in boot_a and boot_b: the image does not boot yet",
    "the bundle as a stage: `python -m poleside_recipe.bundle` signs what it is given",
    "boots under QEMU: update, roll-back and power cuts",
)


def missing(tools: dict[str, tuple[str, str]]) -> list[str]:
    """Return a sentence for each program that is not here."""
    path = environment()["PATH"]
    return [
        f"{name} (Debian package {package}): {purpose}"
        for name, (package, purpose) in tools.items()
        if shutil.which(name, path=path) is None
    ]


def environment() -> dict[str, str]:
    """Return the tools' environment: administrators' programs too, and one time for everything."""
    return {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', os.defpath)}:{SBIN}",
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "E2FSPROGS_FAKE_TIME": str(EPOCH),
    }


def run(*command: object, is_quiet: bool = False) -> None:
    said = subprocess.DEVNULL if is_quiet else None
    subprocess.run([str(part) for part in command], check=True, env=environment(), stdout=said)


def base(variant: Variant, cache: Path, sources: Path) -> Path:
    """Return the tar of Debian's part, from the cache or made."""
    tar = cache / f"{base_key(variant, sources.read_text())}.tar"
    if tar.exists():
        return tar
    cache.mkdir(parents=True, exist_ok=True)
    scratch = tar.with_suffix(".new.tar")
    excluded = entries(IMAGE_BUILD / "packages/base-exclude.list")
    run(
        *("mmdebstrap", "--mode=root", "--variant=essential", "--architectures=arm64"),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        f"--include={','.join(packages(variant))}",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in excluded),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--customize-hook=chroot $1 useradd --system --home-dir /var/lib/poleside"
        " --shell /usr/sbin/nologin --groups video poleside",
        *(variant.suite, scratch, sources),
    )
    scratch.rename(tar)
    return tar


def root_image(root: Path, target: Path, identity: str) -> None:
    """Write the EROFS: blocks keep their places, so that an update is as small as its change."""
    command = ["mkfs.erofs", "-zlz4hc,9", "-T", EPOCH, "-U", identity, target, root]
    run(*command, is_quiet=True)  # else it names every file


def medium(target: Path, root: Path | None, sizes: layout.Sizes | None = None) -> None:
    """Put the parts together, without root and without loop devices. Both slots hold the same."""
    table = layout.partitions(sizes)
    by_name = {part.name: part for part in table}
    target.unlink(missing_ok=True)
    with target.open("wb") as image:
        image.truncate(layout.medium_bytes(table))
    script = target.with_suffix(".sfdisk")
    script.write_text(layout.sfdisk_script(table))
    with script.open("rb") as lines:
        command = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(target)]
        subprocess.run(command, check=True, env=environment(), stdin=lines)
    with target.open("r+b") as image:
        choice = by_name["bootcfg"]
        image.seek(choice.start_bytes)
        image.write(bootcfg(choice.size_bytes, to_sector(FIRST)))
        for name in ("system_a", "system_b") if root else ():
            _place(image, root, by_name[name])
    _place_data(target, by_name["data"])


def _place(image: object, source: Path | None, part: layout.Partition) -> None:
    if source is None or source.stat().st_size > part.size_bytes:
        raise ValueError(f"{source} does not fit into {part.name}")
    image.seek(part.start_bytes)  # type: ignore[attr-defined]
    with source.open("rb") as stream:
        shutil.copyfileobj(stream, image)  # type: ignore[arg-type]


def _place_data(target: Path, part: layout.Partition) -> None:
    """An empty ext4, bit for bit the same: its folders are made at the first boot."""
    identity = part.identity.lower()
    options = f"offset={part.start_bytes},hash_seed={identity},lazy_itable_init=0"
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "data", "-U", identity, "-E", options]
    run(*command, target, f"{part.size_bytes // 1024}k")


def build(variant: Variant, out: Path, cache: Path, sources: Path, floor: str) -> Path:
    """Run all stages; returns the image."""
    version = tomllib.loads((IMAGE_BUILD.parent / "pyproject.toml").read_text())["project"][
        "version"
    ]
    out.mkdir(parents=True, exist_ok=True)
    tar = base(variant, cache, sources)
    root = out / "root"
    shutil.rmtree(root, ignore_errors=True)
    with tarfile.open(tar) as archive:
        archive.extractall(root, filter="fully_trusted")  # noqa: S202 - made by us, needs devices
    tree.lay_parts(root, variant, version, floor)
    tree.lay_agent(root, variant)
    if not tree.byte_compile(root, variant):
        print(f"image: not compiled ahead: that takes Python {variant.python} here")
    name = f"poleside-{version}-{variant.suite}-{variant.board}"
    system = out / f"{name}.erofs"
    root_image(root, system, layout.partitions()[3].identity.lower())
    image = out / f"{name}.img"
    medium(image, system)
    return image


def main() -> int:
    """Build, or say plainly what is missing here; `--check` only says."""
    parser = argparse.ArgumentParser(prog="make image")
    parser.add_argument("--suite", choices=list(SUITES), default="trixie")
    parser.add_argument("--board", choices=BOARDS, default="virt")
    parser.add_argument("--out", type=Path, default=IMAGE_BUILD.parent / "build/image")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/poleside/image")
    parser.add_argument("--sources", type=Path, help="an apt sources.list for the base")
    parser.add_argument(
        "--floor", default="0.0.0", help="no box with this image takes an older one"
    )
    parser.add_argument("--check", action="store_true", help="only tell what is missing here")
    chosen = parser.parse_args()
    variant = Variant(chosen.suite, chosen.board)
    lacks = missing(TOOLS)
    if not wheel_lock(variant).exists():
        lacks.append(f"{wheel_lock(variant).name}: pinned wheels; `make image-lock` makes it")
    if chosen.sources is None and not chosen.check:
        lacks.append("SOURCES=…: an apt sources.list for the base")
    if chosen.check:
        lacks += missing(VERIFY_TOOLS)
    for lack in lacks:
        print(f"missing here: {lack}")
    for part in NOT_BUILT_YET:
        print(f"not built yet: {part}")
    if chosen.check:
        return 0
    if lacks:
        return 1
    image = build(variant, chosen.out, chosen.cache, chosen.sources, chosen.floor)
    print(f"image: {image}, {image.stat().st_size // 2**20} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
