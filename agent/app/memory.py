"""A camera worker's memory: a wall against hostile streams, and the point of being replaced.

Media libraries leak now and then, most of all on streams made to hurt them. A worker that has grown
past `max_rss_bytes` ends itself, its successor starts at once; what wants far more at one stroke
gets no memory at all, which libav and Python report as an error.
"""

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Callable
from importlib import import_module

from agent.app.uncounted import leave_uncounted

RECYCLED = 75  # exit code: nothing failed, start me anew

_GC_EVERY_ALLOCATIONS = 10_000  # children make few cycles; a look for them costs cache each time
_IMPORTED_LATE = ("_strptime", "av.subtitles.stream", "encodings.idna")  # at a first use
_WALL = 3  # times `max_rss_bytes`
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_LARGE_BYTES = 128 * 1024
_PR_SET_THP_DISABLE = 41
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# What Python takes at a time for small objects of one size, and the largest that are small.
_POOL_BYTES, _SMALL_BYTES, _STEP_BYTES = 16 * 1024, 512, 16
_EMPTY_BYTES = sys.getsizeof(b"")
_MOST_OF_A_SIZE = 5_000
_filling: list[bytes] = []  # what was put into the holes


def make_shareable() -> None:
    """Make all that is loaded cheap to share for children forked from now on."""
    for name in _IMPORTED_LATE:
        import_module(name)
    gc.set_threshold(_GC_EVERY_ALLOCATIONS)
    gc.collect()
    # What a child looks up replaces what was looked up here: a name's page copied for each.
    sys._clear_type_cache()  # noqa: SLF001 - documented, has no other name before 3.13
    fill_holes()
    leave_uncounted()
    gc.freeze()


def give_back_early() -> None:
    """Return freed blocks of 128 KiB and more to the kernel at once; forked children do so, too.

    Without it glibc keeps the megabytes that opening a stream takes for a moment (mallopt(3)), and
    as much again for each thread: it counts only before the first second thread.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc only
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TOP_PAD, 2 * _LARGE_BYTES)  # less to and fro: 18 page faults a second, not 44
        mallopt(_M_ARENA_MAX, 1)


def take_small_pages() -> None:
    """Take memory in small pages only, children too (prctl(2), PR_SET_THP_DISABLE).

    Debian's kernels hand out huge ones unasked and gather small ones into them: what a child has
    copied of one, together with what it still shared.
    """
    ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def give_back() -> None:
    """Return what lies free between what is in use, too (malloc_trim(3)); takes 0.2 ms.

    Not for every second: what is needed again has to be had from the kernel anew.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)


def fill_holes() -> None:
    """Use up, for good, what is free between the things that forked children will share.

    A child's own things in such holes would cost it a copy of each page they lie on, 2 MiB a camera
    worker. In pages of their own they lie side by side.
    """

    def small(size: int) -> int:
        _filling.append(bytes(size - _EMPTY_BYTES))
        return id(_filling[-1])

    for size in range(_SMALL_BYTES, 2 * _STEP_BYTES, -_STEP_BYTES):
        _fill(small, size, _POOL_BYTES // size - 4)
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_size_t, [ctypes.c_size_t]
    size = _LARGE_BYTES
    while (size := size * 4 // 5) > _STEP_BYTES:
        _fill(malloc, size, 4)


def _fill(take: Callable[[int], int], size: int, wanted: int) -> None:
    """Take memory until so many in a row lie side by side, so where none was used before."""
    before = in_a_row = 0
    for _ in range(_MOST_OF_A_SIZE):
        at = take(size)
        in_a_row = in_a_row + 1 if 0 < at - before <= size + 2 * _STEP_BYTES else 0
        before = at
        if in_a_row >= wanted:
            return


def raise_wall(max_rss_bytes: int) -> None:
    """Limit this process's private memory for good (RLIMIT_DATA, thread stacks included)."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wall = _WALL * max_rss_bytes
    if hard != resource.RLIM_INFINITY:
        wall = min(wall, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wall, hard))


def rss_bytes() -> int:
    """Return this process's resident memory."""
    handle = os.open("/proc/self/statm", os.O_RDONLY)  # plain calls: every few seconds
    try:
        return int(os.read(handle, 128).split()[1]) * _PAGE_BYTES
    finally:
        os.close(handle)
