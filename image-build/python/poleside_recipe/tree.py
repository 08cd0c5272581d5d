"""The root's files on top of Debian's: our parts, the agent and its wheels, units switched on."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from poleside_recipe.parts import (
    ENABLED,
    ENGINES,
    IMAGE_BUILD,
    MASKED,
    Variant,
    for_the_box,
    wheel_lock,
)
from poleside_recipe.run import run

PROJECT = IMAGE_BUILD.parent
MOUNT_POINTS = ("data", "etc/poleside", "var/lib/poleside", "var/lib/poleside-medium")
_OF_ONE_MACHINE = (
    "etc/ssh/ssh_host_*",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "etc/*-",  # the user lists before their last change
    "var/cache/ldconfig/aux-cache",
    "var/cache/debconf/*-old",
    "var/lib/dpkg/*-old",
    "var/log/*.log",
    "var/log/apt/*",
    "var/log/*tmp",
)
_UNITS = "etc/systemd/system"
_TECHNICIAN = {
    "passwd": "technician:x:980:980:A technician's key:/:/bin/sh\n",
    "group": "technician:x:980:\n",
    "shadow": "technician:*:20000::::::\n",
    "gshadow": "technician:!::\n",
}
# RAUC's own floor and `get-current` came with later versions than Debian 12's.
_RAUC_LATER = {"trixie": ("min-bundle-version={floor}",), "bookworm": ()}
# Debian 12's RAUC does not ask the backend which slot runs: it is told.
_TELL_RAUC = """[Service]
ExecStart=
ExecStart=/bin/sh -c 'exec rauc --override-boot-slot="$$(cat /run/poleside-boot/slot)" service'
"""
# Debian 12's systemd can't make devices of a service's own where the root is read-only: no such
# service starts. The control group closes them instead, for ours.
_NO_OWN_DEVICES = "[Service]\nPrivateDevices=no\n"
_CLOSED_DEVICES = _NO_OWN_DEVICES + "DevicePolicy=closed\n"


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
        _without_own_devices(root)
    switch_units(root)
    add_technician(root)
    make_nobody(root)


def _without_own_devices(root: Path) -> None:
    texts = {root / _UNITS / "service.d/devices.conf": _NO_OWN_DEVICES}
    for unit in (IMAGE_BUILD / "units").glob("*.service"):
        if "PrivateDevices=yes" in unit.read_text():
            texts[root / _UNITS / f"{unit.name}.d/devices.conf"] = _CLOSED_DEVICES
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def add_technician(root: Path) -> None:
    """Add who a technician's key signs in: no password, no rights but to read the journal."""
    for name, line in _TECHNICIAN.items():
        file = root / "etc" / name
        if file.exists() and "\ntechnician:" not in file.read_text():
            with file.open("a") as stream:
                stream.write(line)
    group = root / "etc/group"
    if group.exists():
        lines = group.read_text().splitlines()
        joined = [
            f"{line}{'' if line.endswith(':') else ','}technician"
            if line.startswith("systemd-journal:") and not line.endswith("technician")
            else line
            for line in lines
        ]
        group.write_text("\n".join(joined) + "\n")


def make_nobody(root: Path) -> None:
    """Take away what must not be the same on two boxes, or differs between two builds."""
    for pattern in _OF_ONE_MACHINE:
        for found in root.glob(pattern):
            found.unlink()
    (root / "etc/machine-id").touch()  # the initramfs lays the box's own over it
    (root / "etc/hostname").write_text("poleside\n")
    _link(root / "etc/resolv.conf", "/run/systemd/resolve/stub-resolv.conf")


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
    """Install the locked wheels and the agent under /opt/poleside, compiled for the image's Python.

    Raises `subprocess.CalledProcessError` when a hash does not fit what is downloaded.
    """
    packages, work = root / "opt/poleside/lib", root.parent
    pip = [sys.executable, "-m", "pip"]
    quiet = ["--quiet", "--no-deps", "--no-input", "--disable-pip-version-check"]
    install = [*pip, "install", *quiet, "--no-compile", "--target", packages]
    wheelhouse = work / "wheels"
    shutil.rmtree(wheelhouse, ignore_errors=True)
    lock = wheel_lock(variant).read_text().splitlines()
    source = [line for line in lock if "onvif-zeep" in line]
    (work / "source.txt").write_text("\n".join(source) + "\n")
    (work / "binary.txt").write_text("\n".join(line for line in lock if line not in source) + "\n")
    hashed = "--require-hashes"
    run(*pip, "wheel", *quiet, "--no-binary=onvif-zeep", hashed, "-r", work / "source.txt",
        "-w", wheelhouse)  # fmt: skip
    run(*install, *for_the_box(variant.suite), hashed, "-r", work / "binary.txt")
    run(*install, *sorted(wheelhouse.glob("*.whl")), PROJECT)
    forget_where(packages)
    command = root / "opt/poleside/bin/poleside"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(
        "#!/bin/sh\nPYTHONPATH=/opt/poleside/lib exec /usr/bin/python3 -s "
        '-c "from agent.local.cli.main import main; main()" "$@"\n'
    )
    command.chmod(0o755)
    byte_compile(root, variant)


def try_agent(root: Path, variant: Variant) -> None:
    """Import the agent and what of it is machine code, on an emulated processor.

    Raises `subprocess.CalledProcessError` when the image lacks a library or has a foreign wheel.
    """
    engine = f"{ENGINES[variant.suite].replace('-', '_')}.interpreter"
    machine_code = f"av, numpy, {engine}, cryptography.x509, lxml.etree, gpiod"
    asked = f"import agent.local.cli.main, agent.app.core, {machine_code}, msgspec, zstandard"
    python = ["env", "PYTHONPATH=/opt/poleside/lib", "/usr/bin/python3", "-s", "-B", "-c", asked]
    run("chroot", root, *python)


def forget_where(packages: Path) -> None:
    """Take away where on the builder a distribution came from, and commands of its Python."""
    shutil.rmtree(packages / "bin", ignore_errors=True)  # their first line names the builder's
    gone = ("../../bin/", "bin/")
    for note in packages.glob("*.dist-info/direct_url.json"):
        note.unlink()
    for record in packages.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        kept = (each for each in lines if not each.startswith(gone))
        record.write_text("".join(each for each in kept if "/direct_url.json," not in each))


def python_of(variant: Variant) -> str | None:
    """Return a Python of this machine that compiles for the image, None when there is none."""
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == variant.python:
        return sys.executable
    name = f"python{variant.python}"
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{variant.python}.*/bin/{name}"))
    for found in (*map(str, pyenv), shutil.which(name)):
        if found and subprocess.run([found, "-c", ""], check=False).returncode == 0:
            return found
    return None


def byte_compile(root: Path, variant: Variant) -> None:
    """Compile ahead of time, for a root that can't keep it.

    By a Python of this machine where it has the right one, else by the image's own, emulated.
    """
    folders = ("/opt/poleside/lib", "/usr/lib/poleside/python")
    compiler = python_of(variant)
    arguments = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    seeded = ["env", "PYTHONHASHSEED=0"]  # sets among the constants keep their order
    if compiler:
        there = [f"{root}{folder}" for folder in folders]
        run(*seeded, compiler, *arguments, "-s", root, "-p", "/", *there)
    else:
        run("chroot", root, *seeded, "/usr/bin/python3", *arguments, *folders)
