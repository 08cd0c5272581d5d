"""The root's files on top of Debian's: our parts, the agent and its wheels, units switched on."""

import compileall
import json
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

from poleside_recipe.parts import ENABLED, IMAGE_BUILD, MASKED, Variant, for_the_box, wheel_lock

PROJECT = IMAGE_BUILD.parent
MOUNT_POINTS = ("data", "etc/poleside", "var/lib/poleside", "var/lib/poleside-medium")
_UNITS = "etc/systemd/system"
# RAUC's own floor and `get-current` came with later versions than Debian 12's.
_RAUC_LATER = {"trixie": ("min-bundle-version={floor}",), "bookworm": ()}
# Debian 12's RAUC does not ask the backend which slot runs: it is told.
_TELL_RAUC = """[Service]
ExecStart=
ExecStart=/bin/sh -c 'exec rauc --override-boot-slot="$$(cat /run/poleside-boot/slot)" service'
"""


def lay_parts(root: Path, variant: Variant, version: str, floor: str) -> None:
    """Copy the image's own files and units into `root`, and switch units on and off."""
    shutil.copytree(IMAGE_BUILD / "rootfs", root, symlinks=True, dirs_exist_ok=True)
    units = IMAGE_BUILD / "units"
    kinds = ("*.service", "*.path", "*.timer")
    for unit in sorted(found for kind in kinds for found in units.glob(kind)):
        _copy(unit, root / _UNITS / unit.name)
    _copy(units / "journald-poleside.conf", root / "etc/systemd/journald.conf.d/poleside.conf")
    rule = units / "50-poleside-reboot.rules"
    _copy(rule, root / "etc/polkit-1/rules.d" / rule.name)
    for package in ("poleside_image",):
        target = root / "usr/lib/poleside/python" / package
        shutil.copytree(
            IMAGE_BUILD / "python" / package,
            target,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    for folder in MOUNT_POINTS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    release = {"version": version, "floor": floor, "suite": variant.suite, "board": variant.board}
    (root / "usr/lib/poleside/release.json").write_text(json.dumps(release, sort_keys=True) + "\n")
    _fill_rauc(root / "etc/rauc/system.conf", variant, floor)
    if variant.suite == "bookworm":
        (root / _UNITS / "rauc.service.d/slot.conf").write_text(_TELL_RAUC)
    switch_units(root)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _fill_rauc(config: Path, variant: Variant, floor: str) -> None:
    later = [line.format(floor=floor) for line in _RAUC_LATER[variant.suite]]
    text = config.read_text().replace("@BOARD@", variant.board)
    text = text.replace("bootloader=custom\n", "\n".join(["bootloader=custom", *later]) + "\n")
    config.write_text(text)


def switch_units(root: Path) -> None:
    """Do what `systemctl enable` and `mask` do, without a system that runs."""
    for target, units in ENABLED.items():
        wants = root / _UNITS / f"{target}.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for unit in units:
            ours = (root / _UNITS / unit).exists()
            home = f"/{_UNITS}" if ours else "/usr/lib/systemd/system"
            _link(wants / unit, f"{home}/{unit}")
    for unit in MASKED:
        _link(root / _UNITS / unit, "/dev/null")


def _link(link: Path, to: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(to)


def lay_agent(root: Path, variant: Variant) -> None:
    """Install the locked wheels and the agent under /opt/poleside, for the image's Python.

    Raises `subprocess.CalledProcessError` when a hash does not fit what is downloaded.
    """
    packages = root / "opt/poleside/lib"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-input"]
    pip += ["--disable-pip-version-check", "--no-compile", "--target", str(packages)]
    wheelhouse = root.parent / "wheels"
    fetch = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-binary=onvif-zeep"]
    source = [line for line in wheel_lock(variant).read_text().splitlines() if "onvif-zeep" in line]
    (root.parent / "source.txt").write_text("\n".join(source) + "\n")
    built = ["--require-hashes", "-r", str(root.parent / "source.txt"), "-w", str(wheelhouse)]
    subprocess.run([*fetch, *built], check=True)
    locked = [line for line in wheel_lock(variant).read_text().splitlines() if line not in source]
    (root.parent / "binary.txt").write_text("\n".join(locked) + "\n")
    need = ["--require-hashes", "-r", str(root.parent / "binary.txt")]
    subprocess.run([*pip, *for_the_box(variant.suite), *need], check=True)
    subprocess.run([*pip, *map(str, wheelhouse.glob("*.whl"))], check=True)
    subprocess.run([*pip, str(PROJECT)], check=True)
    command = root / "opt/poleside/bin/poleside"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(
        "#!/bin/sh\nPYTHONPATH=/opt/poleside/lib exec /usr/bin/python3 -s "
        '-c "from agent.local.cli.main import main; main()" "$@"\n'
    )
    command.chmod(0o755)


def byte_compile(root: Path, variant: Variant) -> bool:
    """Compile ahead of time, for a root that can't keep it; only with the same Python here."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != variant.python:
        return False
    for folder in ("opt/poleside/lib", "usr/lib/poleside/python"):
        compileall.compile_dir(
            root / folder,
            quiet=2,
            stripdir=os.fspath(root),
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    return True
