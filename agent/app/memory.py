"""A camera worker's memory: a wall against hostile streams, and the point of being replaced.

Media libraries leak now and then, most of all on streams made to hurt them. A worker that has grown
past `max_rss_bytes` ends itself, its successor starts at once; what wants far more at one stroke
gets no memory at all, which libav and Python report as an error.
"""

import ctypes
import os
import resource

RECYCLED = 75  # exit code: nothing failed, start me anew

_WALL = 3  # times `max_rss_bytes`
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 128 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def give_back_early() -> None:
    """Return freed blocks of 128 KiB and more to the kernel at once; forked children do so, too.

    Without it glibc keeps the megabytes that opening a stream takes for a moment (mallopt(3)), and
    as much again for each thread.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc only
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)


def raise_wall(max_rss_bytes: int) -> None:
    """Limit this process's private memory for good (RLIMIT_DATA, thread stacks included)."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wall = _WALL * max_rss_bytes
    if hard != resource.RLIM_INFINITY:
        wall = min(wall, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wall, hard))


def rss_bytes() -> int:
    """Return this process's resident memory."""
    with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123 - once a second
        return int(file.read().split()[1]) * _PAGE_BYTES
