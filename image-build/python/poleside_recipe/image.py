"""`make image`: from package lists and locked wheels to an image to flash, stage by stage.

Run as root: files in the root have owners. No loop device and no mount is needed. The base is
kept, by the hash of what it is made of, since it is nearly the whole cost: 9 CPU minutes of 11.
"""

import argparse
import re
import shutil
import sys
import tarfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from poleside_image.boot_choice import FIRST, to_sector

from poleside_recipe import boot_stage, bundle, kernel, keys, later, layout, sbom, tree
from poleside_recipe.fat16 import bootcfg
from poleside_recipe.medium import assemble
from poleside_recipe.parts import (
    BOARDS,
    IMAGE_BUILD,
    SUITES,
    Variant,
    base_key,
    boot_packages,
    entries,
    packages,
    wheel_lock,
)
from poleside_recipe.run import EPOCH, missing, run

# program -> Debian package, and what it is for
TOOLS = {
    "mmdebstrap": ("mmdebstrap", "the Debian base"),
    "qemu-aarch64-static": ("qemu-user-static", "arm64 programs while the base is made"),
    "dpkg-deb": ("dpkg", "kernel and boot loader, unpacked"),
    "depmod": ("kmod", "the index of the kernel's modules"),
    "mkfs.erofs": ("erofs-utils", "the read-only root"),
    "mkfs.vfat": ("dosfstools", "the boot partitions"),
    "mcopy": ("mtools", "the boot partitions' files"),
    "sfdisk": ("fdisk", "the partition table"),
    "mke2fs": ("e2fsprogs", "the data partition"),
    "rauc": ("rauc", "the signed bundle"),
    "mksquashfs": ("squashfs-tools", "the signed bundle"),
    "openssl": ("openssl", "keys for a trial build"),
}
VERIFY_TOOLS = {
    "nft": ("nftables", "whether the firewall's file is understood"),
    "systemd-analyze": ("systemd", "how exposed the units are"),
    "qemu-system-aarch64": ("qemu-system-arm", "boots"),
    "fdtput": ("device-tree-compiler", "a Raspberry Pi firmware's word, emulated"),
}
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built. `keys` holds the city's; None: keys for trials are made.

    `first_stages`, a folder or a package, holds a Raspberry Pi's, in place of the release's.
    """

    variant: Variant
    out: Path
    cache: Path
    sources: Path
    floor: str = "0.0.0"
    version: str = ""
    keys: Path | None = None
    first_stages: Path | None = None

    @property
    def is_for_trials(self) -> bool:
        return self.keys is None


@dataclass(frozen=True, slots=True)
class Built:
    """The parts of an image and what is made of them."""

    version: str
    root: Path
    system: Path
    boot: Path
    medium: Path
    bundle: Path


def base(suite: str, cache: Path, sources: Path) -> Path:
    """Return the tar of Debian's part, the same for all boards, from the cache or made."""
    told = later.left_out(without_backports(sources.read_text()))
    tar = cache / f"{base_key(suite, told)}.tar"
    if tar.exists():
        return tar
    cache.mkdir(parents=True, exist_ok=True)
    scratch, listed = tar.with_suffix(".new.tar"), tar.with_suffix(".sources.list")
    listed.write_text(told)
    excluded = entries(IMAGE_BUILD / "packages/base-exclude.list")
    run(
        *("mmdebstrap", "--mode=root", "--variant=essential", "--architectures=arm64"),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        f"--include={','.join(packages(suite))}",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in excluded),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--customize-hook=chroot $1 useradd --system --home-dir /var/lib/poleside"
        " --shell /usr/sbin/nologin --groups video poleside",
        f"--customize-hook={IMAGE_BUILD}/packages/fetch-boot-parts $1 "
        + " ".join(boot_packages(suite, BOARDS)),
        *(suite, scratch, listed),
    )
    scratch.rename(tar)
    return tar


def without_backports(sources: str) -> str:
    """Return an apt sources.list without what is for a board's kernel alone."""
    lines = sources.splitlines(keepends=True)
    return "".join(line for line in lines if not re.search(r"\s\S+-backports\s", line))


def root_image(root: Path, target: Path, identity: str) -> None:
    """Write the EROFS: blocks keep their places, so that an update is as small as its change."""
    command = ["mkfs.erofs", "-zlz4hc,9", "-T", EPOCH, "-U", identity, target, root]
    run(*command, is_quiet=True)  # else it names every file


def choice_image(target: Path, files: Path | None) -> Path:
    """Write the boot choice partition; `files` are what UEFI starts, None on a Raspberry Pi."""
    size_bytes = layout.partitions()[0].size_bytes
    target.write_bytes(bootcfg(size_bytes, to_sector(FIRST)))
    if files is not None:
        boot_stage.fill(target, files)
    return target


def unpacked_base(order: Order) -> Path:
    """Return the root with Debian's part in it, and what the board has of a later one."""
    tar = base(order.variant.suite, order.cache, order.sources)
    root = order.out / "root"
    shutil.rmtree(root, ignore_errors=True)
    with tarfile.open(tar) as archive:
        archive.extractall(root, filter="fully_trusted")  # noqa: S202 - made by us, needs devices
    newer = later.fetched(order.variant, order.cache, order.sources)
    if newer is not None:
        later.lay(newer, root)
    return root


def build(order: Order) -> Built:
    """Run all stages; tells what each took."""
    variant, out = order.variant, order.out
    out.mkdir(parents=True, exist_ok=True)
    version = order.version or project_version()
    name = f"poleside-{version}-{variant.suite}-{variant.board}"
    root = _told("base", lambda: unpacked_base(order))
    own = _told("kernel", lambda: kernel.fetched(variant, order.cache, order.sources))
    target = out / "unpacked"
    unpacked = _told("boot packages", lambda: boot_stage.unpack(variant, root, target, own))
    if order.first_stages is not None:
        boot_stage.take_first_stages(order.first_stages, unpacked)
    modules = boot_stage.lay_kernel(unpacked, root)
    boot_stage.lay_firmware(unpacked, root)
    tree.lay_parts(root, variant, version, order.floor)
    signing = keys.signing(order.keys, order.cache / "trial-keys")
    shutil.copyfile(signing.keyring, root / "etc/rauc/keyring.pem")
    _told("agent and wheels", lambda: tree.lay_agent(root, variant))
    _told("imports, emulated", lambda: tree.try_agent(root, variant))
    _told("parts list", lambda: sbom.lay(root, unpacked, version))
    boot_files = boot_stage.boot_files(variant, unpacked, modules, out / "boot")
    boot = out / f"{name}.boot"
    boot_stage.fat_image(boot_files, boot, layout.partitions()[1].size_bytes, "BOOT")
    system = out / f"{name}.erofs"
    identity = layout.partitions()[3].identity.lower()
    _told("read-only root", lambda: root_image(root, system, identity))
    uefi = boot_stage.uefi_files(unpacked, out / "uefi") if variant.board == "virt" else None
    choice = choice_image(out / f"{name}.bootcfg", uefi)
    contents = {"bootcfg": choice} | dict.fromkeys(("boot_a", "boot_b"), boot)
    contents |= dict.fromkeys(("system_a", "system_b"), system)
    medium = out / f"{name}.img"
    _told("medium", lambda: assemble(medium, contents, variant.board))
    update = out / f"{name}.raucb"
    images = {"system": system, "boot": boot}
    _told("bundle", lambda: bundle.make(variant, version, images, update, signing))
    if order.is_for_trials:
        print("image: signed with keys made for trials; --keys FOLDER takes the city's own")
    return Built(version, root, system, boot, medium, update)


def _missing_lines(variant: Variant, sources: str) -> list[str]:
    """Return a sentence for each line that a board needs and an apt sources.list does not have."""
    lacks = []
    if not kernel.is_at_hand(variant, sources):
        lacks.append(f"{kernel.release(variant)}: a line in SOURCES, for this board's kernel")
    names = ", ".join(each.split("/")[0] for each in later.packages(variant))
    named = f"a line in SOURCES, for this board's {names} alone"
    return lacks + [f"{release}: {named}" for release in later.not_at_hand(variant, sources)]


def _told(stage: str, work: Callable[[], _Result]) -> _Result:
    began_s = time.monotonic()
    result = work()
    print(f"image: {stage}: {time.monotonic() - began_s:.1f} s", flush=True)
    return result


def folder_of(variant: Variant) -> Path:
    """Return a variant's own folder: build/image, build/image-rpi, build/image-bookworm, ..."""
    parts = [part for part in (variant.suite, variant.board) if part not in ("trixie", "virt")]
    return IMAGE_BUILD.parent / "build" / "-".join(["image", *parts])


def project_version() -> str:
    project = tomllib.loads((IMAGE_BUILD.parent / "pyproject.toml").read_text())
    return str(project["project"]["version"])


def main() -> int:
    """Build, or say plainly what is missing here; `--check` only says."""
    parser = argparse.ArgumentParser(prog="make image")
    parser.add_argument("--suite", choices=list(SUITES), default="trixie")
    parser.add_argument("--board", choices=BOARDS, default="virt")
    parser.add_argument("--out", type=Path, help="else build/image, with what is not usual in it")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/poleside/image")
    parser.add_argument("--sources", type=Path, help="an apt sources.list for the base")
    parser.add_argument("--version", default="", help="instead of the project's, for trials")
    parser.add_argument("--keys", type=Path, help="the city's: see README; else made for trials")
    parser.add_argument(
        "--first-stages",
        type=Path,
        help="a folder with a Raspberry Pi's start4.elf and so on, or a later raspi-firmware_*.deb",
    )
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
    elif chosen.sources:
        lacks += _missing_lines(variant, chosen.sources.read_text())
    if chosen.check:
        lacks += missing(VERIFY_TOOLS)
    for lack in lacks:
        print(f"missing here: {lack}")
    if chosen.check:
        return 0
    if lacks:
        return 1
    order = Order(
        *(variant, chosen.out or folder_of(variant), chosen.cache, chosen.sources),
        *(chosen.floor, chosen.version, chosen.keys, chosen.first_stages),
    )
    built = build(order)
    for made in (built.medium, built.bundle, built.system):
        print(f"image: {made}, {made.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
