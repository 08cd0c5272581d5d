"""Disks of the laboratory: image files, loop devices, mounts; all let go of, whatever happens.

Only root can; `why_not` says what is missing.
"""

import ctypes
import functools
import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from agent.core import log

T = TypeVar("T")

_CLONE_NEWNS = 0x00020000


@functools.cache
def no_mounts() -> str | None:
    """Return why nothing can be mounted here, None when it can."""
    if os.geteuid() != 0:
        return "only root can mount"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return f"this system allows no mount: {done.stderr.decode()}" if done.returncode else None


def why_not(*, fuse: bool = False) -> str | None:
    """Return why this machine can't run the laboratory, None when it can.

    Programs are no reason: `make test` installs them, and one that is missing fails the test.
    """
    if fuse and not Path("/dev/fuse").exists():
        return "the crash laboratory needs /dev/fuse"
    if not Path("/dev/loop-control").exists():
        return "the crash laboratory needs loop devices"
    return no_mounts()


def run(*command: str | Path) -> str:
    """Run a tool; its standard output, or `RuntimeError` with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout.strip()


def own_mounts() -> None:
    """Take this process out of the machine's mount namespace: its mounts end when it ends."""
    log.configure("crash-lab", "error")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


def in_own_mounts(call: Callable[..., T], *arguments: object) -> T:
    """Return `call(*arguments)`, done by a process that takes its mounts with it when it ends."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=own_mounts) as pool:
        return pool.submit(call, *arguments).result()


def make_ext4(image: Path, megabytes: int, *options: str) -> None:
    """Make an image file with ext4 in it."""
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    run("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0", "-J", "size=4",
        *options, image)  # fmt: skip


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in memory when there is one: its flushes cost nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@contextmanager
def mounted(image: Path, folder: Path, options: str = "") -> Iterator[str]:
    """Mount an image file on `folder` through a loop device, whose name is yielded."""
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "ext4", "-o", f"loop,{options or 'rw'}", image, folder)
    try:
        yield f"loop{os.minor(folder.stat().st_dev)}"
    finally:
        unmount(folder)  # the kernel lets the loop device go with its last mount


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    """A small disk in memory. The test that asks for one is left out where nobody may mount."""
    if why := no_mounts():
        pytest.skip(why)
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder)
    try:
        yield folder
    finally:
        unmount(folder)


def unmount(folder: Path) -> None:
    """Unmount; when somebody still holds a file there, let it go lazily rather than not at all."""
    try:
        run("umount", folder)
    except RuntimeError:
        run("umount", "--lazy", folder)


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Freeze the file system of `folder`: whoever writes waits. It is always thawed again."""
    run("fsfreeze", "--freeze", folder)
    try:
        yield
    finally:
        run("fsfreeze", "--unfreeze", folder)


def break_file_system(device: str) -> None:
    """Make ext4 on a loop device find itself damaged: with `errors=remount-ro` it takes no more."""
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")


def repair(image: Path) -> None:
    """Let e2fsck put right what it finds. Raises `RuntimeError` when it can't."""
    done = subprocess.run(["e2fsck", "-f", "-p", image], capture_output=True, check=False)
    if done.returncode > 1:  # 1: errors were corrected
        raise RuntimeError(f"e2fsck: {done.stdout.decode()}")
