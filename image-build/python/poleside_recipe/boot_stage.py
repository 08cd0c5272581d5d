"""Kernel, modules and boot partitions, from packages that are unpacked and never installed."""

import os
import re
import shutil
from datetime import date, datetime
from pathlib import Path

from poleside_recipe import initramfs, kernel
from poleside_recipe.parts import IMAGE_BUILD, Variant, boot_packages, entries
from poleside_recipe.run import EPOCH, run

PACKAGES = "boot-parts"  # in the base: left there by packages/fetch-boot-parts
BOOT = IMAGE_BUILD / "boot"
FIRST_STAGES = "first-stages"  # among the unpacked: what the builder gave in place of Debian's
_STAGES = ("start.elf", "start4.elf", "start*cd.elf", "fixup*.dat", "bootcode.bin")
_MADE = re.compile(rb"VC_BUILD_ID_TIME: ([A-Z][a-z]{2} +[0-9]{1,2} [0-9]{4})")
# Before it a Pi 4 does not find its kernel on a slot's partition of a GPT.
LEAST_MADE = date(2025, 1, 16)
_WORDS = {"virt": "", "rpi": "cgroup_enable=memory"}  # a Pi's firmware switches memory limits off
# The kernel's name of a device tree -> what the firmware asks for, where they differ.
_FIRMWARES_TREES = {
    "bcm2711-rpi-cm4-io.dtb": "bcm2711-rpi-cm4.dtb",
    "bcm2712-d-rpi-5-b.dtb": "bcm2712d0-rpi-5-b.dtb",
    "bcm2837-rpi-3-a-plus.dtb": "bcm2710-rpi-3-a-plus.dtb",
    "bcm2837-rpi-3-b-plus.dtb": "bcm2710-rpi-3-b-plus.dtb",
    "bcm2837-rpi-3-b.dtb": "bcm2710-rpi-3-b.dtb",
    "bcm2837-rpi-cm3-io3.dtb": "bcm2710-rpi-cm3.dtb",
}


def unpack(variant: Variant, root: Path, target: Path, own_kernel: Path | None = None) -> Path:
    """Take the boot packages out of `root`, unpack the board's; returns the folder of their files.

    `own_kernel` holds a board's kernel in place of the release's (`kernel.fetched`). Their control
    files come to lie in its folder `control`, for the parts list.
    """
    shutil.rmtree(target, ignore_errors=True)
    (target / "control").mkdir(parents=True)
    wanted = boot_packages(variant.suite, [variant.board])
    for package in sorted((root / PACKAGES).glob("*.deb")):
        name = package.name.split("_")[0]
        if name in wanted or (name.startswith("linux-image-") and own_kernel is None):
            _unpack(package, target)
    shutil.rmtree(root / PACKAGES)
    if own_kernel is not None:
        for package in sorted(own_kernel.glob("*.deb")):
            _unpack(package, target)
    merge_usr(target)
    if own_kernel is not None:
        (modules,) = (target / "usr/lib/modules").iterdir()
        kernel.lay_module(own_kernel, modules)
    return target


def _unpack(package: Path, target: Path) -> None:
    run("dpkg-deb", "--extract", package, target)
    run("dpkg-deb", "--control", package, target / "control" / package.name.split("_")[0])


def merge_usr(folder: Path) -> None:
    """Move what packages of Debian 12 still have outside of `usr` to where a merged root has it."""
    for name in ("bin", "sbin", "lib"):
        old = folder / name
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, folder / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
        if not old.is_symlink():
            old.symlink_to(f"usr/{name}")


def lay_firmware(unpacked: Path, root: Path) -> None:
    """Copy what the board's packages have for the kernel's drivers."""
    folder = unpacked / "usr/lib/firmware"
    if folder.is_dir():
        shutil.copytree(folder, root / "usr/lib/firmware", symlinks=True, dirs_exist_ok=True)
    for file in (root / "usr/lib/firmware").glob("regulatory.*-debian"):
        link = file.with_name(file.name.removesuffix("-debian"))  # what its script would choose
        link.unlink(missing_ok=True)
        link.symlink_to(file.name)


def lay_kernel(unpacked: Path, root: Path) -> Path:
    """Copy the modules a box may need, and what they need, into the root; returns their folder."""
    (source,) = (unpacked / "usr/lib/modules").iterdir()
    run("depmod", "--basedir", unpacked, source.name, is_quiet=True)
    target = root / "usr/lib/modules" / source.name
    for name in wanted_modules(source):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for index in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(source / index, target / index)
    run("depmod", "--basedir", root, source.name, is_quiet=True)
    kernel.load_at_boot(target, root)
    return target


def wanted_modules(source: Path) -> list[str]:
    """Return the modules of `boot/modules.list`, ours, and what they need.

    `source` is after depmod.
    """
    lines = (source / "modules.dep").read_text().splitlines()
    needs = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    kept = tuple(
        f"kernel/{prefix}" for line in entries(BOOT / "modules.list") for prefix in line.split()
    )
    found = {name for name in needs if name.startswith((*kept, "updates/"))}
    return sorted(found.union(*(needs[name] for name in found)))


def boot_files(variant: Variant, unpacked: Path, modules: Path, out: Path) -> Path:
    """Lay what a slot's boot partition holds into `out`; returns it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    binary = kernel.image_of(unpacked)
    (out / "initramfs").write_bytes(initramfs.make(unpacked, modules, variant.board))
    words = _WORDS[variant.board]
    if variant.board == "virt":
        shutil.copyfile(binary, out / "vmlinuz")
        config = (BOOT / "boot.cfg").read_text().replace("@WORDS@", words).replace(" \n", "\n")
        (out / "boot.cfg").write_text(config)
    else:
        shutil.copyfile(binary, out / "kernel8.img")
        _lay_raspberry_pi(unpacked, out, words)
    return out


def take_first_stages(given: Path, unpacked: Path) -> None:
    """Take a Raspberry Pi's first stages from a folder or a later `raspi-firmware` of Debian's.

    They come in place of those of the release. Raises `ValueError` when they are not whole.
    """
    if given.suffix == ".deb":
        given = _of_package(given, unpacked)
    found = [file for pattern in _STAGES for file in sorted(given.glob(pattern))]
    if not {"start4.elf", "fixup4.dat"} <= {file.name for file in found}:
        raise ValueError(f"{given} has no start4.elf with its fixup4.dat")
    if given.is_relative_to(unpacked):
        return
    (unpacked / FIRST_STAGES).mkdir()
    for file in found:
        shutil.copyfile(file, unpacked / FIRST_STAGES / file.name)


def _of_package(package: Path, unpacked: Path) -> Path:
    """Unpack it in the place of the release's, which the parts list then does not name."""
    stages = unpacked / "usr/lib/raspi-firmware"
    for old in (stages, unpacked / "control/raspi-firmware"):
        shutil.rmtree(old, ignore_errors=True)
    _unpack(package, unpacked)
    return stages


def made_on(first_stage: Path) -> date | None:
    """Return the day that a `start4.elf` says it was built on."""
    found = _MADE.search(first_stage.read_bytes())
    text = f"{found[1].decode()} +0000" if found else ""
    return datetime.strptime(text, "%b %d %Y %z").date() if text else None


def _lay_raspberry_pi(unpacked: Path, out: Path, words: str) -> None:
    for folder in (unpacked / "usr/lib/raspi-firmware", unpacked / FIRST_STAGES):
        for file in (file for pattern in _STAGES for file in folder.glob(pattern)):
            shutil.copyfile(file, out / file.name)
    if (made := made_on(out / "start4.elf")) is None or made < LEAST_MADE:
        print(
            f"image: start4.elf is of {made}: before {LEAST_MADE} no Raspberry Pi 4 boots from this"
            " layout; --first-stages takes newer ones: a folder, or a later raspi-firmware_*.deb",
            flush=True,
        )
    for file in unpacked.glob("usr/lib/linux-image-*/broadcom/bcm2*-rpi-*.dtb"):
        shutil.copyfile(file, out / file.name)
    for name, firmwares_name in _FIRMWARES_TREES.items():
        if (out / name).exists():
            shutil.copyfile(out / name, out / firmwares_name)
    shutil.copyfile(BOOT / "config.txt", out / "config.txt")
    line = (BOOT / "cmdline.txt").read_text().strip() + f" {words}\n"
    (out / "cmdline.txt").write_text(line)
    (out / "cmdline-pi5.txt").write_text(line.replace("console=ttyS1,", "console=ttyAMA10,"))


def fat_image(files: Path, target: Path, size_bytes: int, label: str) -> None:
    """Write a FAT file system with all of `files`: the same files are the same bits."""
    target.unlink(missing_ok=True)
    with target.open("wb") as image:
        image.truncate(size_bytes)
    run("mkfs.vfat", "--invariant", "-n", label, target, is_quiet=True)
    fill(target, files)


def fill(image: Path, files: Path) -> None:
    """Copy all of `files` into a FAT image, in order and with one time."""
    for path in sorted(files.rglob("*")):
        os.utime(path, (EPOCH, EPOCH))
        name = f"::{path.relative_to(files)}"
        if path.is_dir():
            run("mmd", "-i", image, name)
        else:
            run("mcopy", "-m", "-i", image, path, name)


def uefi_files(unpacked: Path, out: Path) -> Path:
    """Lay what UEFI starts, for the boot choice partition; returns the folder."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "EFI/BOOT").mkdir(parents=True)
    (out / "EFI/debian").mkdir()
    grub = unpacked / "usr/lib/grub/arm64-efi/monolithic/grubaa64.efi"
    shutil.copyfile(grub, out / "EFI/BOOT/BOOTAA64.EFI")
    shutil.copyfile(BOOT / "grub.cfg", out / "EFI/debian/grub.cfg")
    block = b"# GRUB Environment Block\ntrial=0\n"
    (out / "trial.env").write_bytes(block.ljust(1024, b"#"))
    return out
