"""Says whether something was put into a folder, by the kernel's word (inotify(7)).

A look each second costs a hop to a thread and back, for a folder in which something lies once a
week; asking here costs one call that never waits for a disk.
"""

import ctypes
import os
import select
import threading
from pathlib import Path

from agent.core.clock import Clock

PATIENT_S = 30.0  # so often there is news in any case: something may be mounted over the folder
_CLOSE_WRITE, _MOVED_TO, _CREATE = 0x8, 0x80, 0x100
_DELETE_SELF, _MOVE_SELF, _ONLY_FOLDERS = 0x400, 0x800, 0x01000000
_WANTED = _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS
_LIBC = ctypes.CDLL(None, use_errno=True)


class FolderNews:
    """Ask `has_come`; if so call `begin`, then look into the folder, both in a thread.

    What comes between two looks is never missed. Where the kernel tells nothing (no watch left, a
    folder that is not there yet) there is always news, and the folder is looked into as often as
    before. One task at a time asks and begins; `close` may be called from any thread meanwhile.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._handle: int | None = None
        self._turn, self._closed = threading.Lock(), 0
        self._began_s = 0.0

    @property
    def is_told(self) -> bool:
        """Whether the kernel tells what comes."""
        return self._handle is not None

    def has_come(self) -> bool:
        """Return whether something may lie there that was not there at the last `begin`."""
        with self._turn:
            if self._handle is None or self._clock.monotonic_s() - self._began_s >= PATIENT_S:
                return True
            look = select.poll()  # not select(): it knows the first 1024 handles only
            look.register(self._handle, select.POLLIN)
            return bool(look.poll(0))

    def begin(self) -> None:
        """What comes from now on is news. May wait for the disk."""
        self.close()
        closed, self._began_s = self._closed, self._clock.monotonic_s()
        handle = _watch(self._folder)
        with self._turn:
            if closed == self._closed:
                self._handle, handle = handle, None
        if handle is not None:  # closed meanwhile: whoever did so wants another look
            os.close(handle)

    def close(self) -> None:
        """Let go of the watch: from now on there is always news."""
        with self._turn:
            self._closed += 1
            handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _watch(folder: Path) -> int | None:
    """Return what can be read once something happens there, None where the kernel can't tell."""
    handle: int = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0:
        return None
    if _LIBC.inotify_add_watch(handle, os.fsencode(folder), _WANTED) < 0:
        os.close(handle)
        return None
    return handle
