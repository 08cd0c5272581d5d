"""A file system of one file that logs every write and flush: the medium under the crash laboratory.

    python -m tests.faults.crash_lab.fuse_file MOUNTPOINT IMAGE LOG_FOLDER

MOUNTPOINT is an empty file; mounted, it shows IMAGE. Speaks the kernel's FUSE protocol itself
(linux/fuse.h 7.31): the root node is a regular file, so nine requests are all there is. Ends when
it is unmounted. One thread, so the log's order is the order in which writes were done.
"""

import ctypes
import errno
import mmap
import os
import struct
import sys
from enum import IntEnum
from pathlib import Path

from tests.faults.crash_lab.block_log import LogWriter

_REQUEST = struct.Struct("<IIQQIIII")  # fuse_in_header: length opcode unique node uid gid pid pad
_REPLY = struct.Struct("<IiQ")  # fuse_out_header: length error unique
_ATTR = struct.Struct("<QII QQQQQQ IIIIIIIIII")  # fuse_attr_out
_INIT = struct.Struct("<IIIIHHIIHHI28x")  # fuse_init_out
_OPENED = struct.Struct("<QII")  # fuse_open_out
_WRITTEN = struct.Struct("<II")  # fuse_write_out
_SPAN = struct.Struct("<QQI")  # fuse_read_in and fuse_write_in begin with: handle offset size
_WRITE_HEADER_BYTES = 40

_MAX_WRITE = 128 * 1024
_BIG_WRITES = 1 << 5
_MODE = 0o100600
_MS_NOSUID, _MS_NODEV = 2, 4


class Op(IntEnum):
    """The requests that a mounted file gets."""

    FORGET, GETATTR, SETATTR, OPEN, READ, WRITE = 2, 3, 4, 14, 15, 16
    RELEASE, FSYNC, FLUSH, INIT, INTERRUPT, DESTROY, BATCH_FORGET = 18, 20, 25, 26, 36, 38, 42


_UNANSWERED = {Op.FORGET, Op.INTERRUPT, Op.BATCH_FORGET}


class LoggedFile:
    """Answers the kernel's requests about the one file."""

    def __init__(self, image: Path, log: LogWriter) -> None:
        with image.open("r+b") as file:
            self._content = mmap.mmap(file.fileno(), 0)
        self._log = log

    def serve(self, device: int) -> None:
        """Answer until the file is unmounted."""
        while True:
            try:
                request = os.read(device, _MAX_WRITE + 4096)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                raise
            _, opcode, unique, *_ = _REQUEST.unpack_from(request)
            if opcode in _UNANSWERED:
                continue
            code, body = self._answer(opcode, memoryview(request)[_REQUEST.size :])
            os.write(device, _REPLY.pack(_REPLY.size + len(body), -code, unique) + body)
            if opcode == Op.DESTROY:
                return

    def _answer(self, opcode: int, body: memoryview) -> tuple[int, bytes]:
        """Return the error number, 0 for none, and what goes back."""
        answer = b""
        match opcode:
            case Op.INIT:
                answer = _INIT.pack(7, 31, 0, _BIG_WRITES, 16, 12, _MAX_WRITE, 1, 0, 0, 0)
            case Op.GETATTR | Op.SETATTR:
                size = len(self._content)
                attr = (1, size, size // 512, 0, 0, 0, 0, 0, 0, _MODE, 1, 0, 0, 0, 4096, 0)
                answer = _ATTR.pack(3600, 0, 0, *attr)
            case Op.OPEN:
                answer = _OPENED.pack(1, 0, 0)
            case Op.READ:
                _, offset, size = _SPAN.unpack_from(body)
                answer = self._content[offset : offset + size]
            case Op.WRITE:
                _, offset, size = _SPAN.unpack_from(body)
                data = bytes(body[_WRITE_HEADER_BYTES : _WRITE_HEADER_BYTES + size])
                self._content[offset : offset + size] = data
                self._log.write(offset, data)
                answer = _WRITTEN.pack(size, 0)
            case Op.FSYNC:  # the loop device's flush
                self._log.flush()
            case Op.RELEASE | Op.FLUSH | Op.DESTROY:  # FLUSH is a close
                pass
            case _:
                return errno.ENOSYS, b""
        return 0, answer


def mount(mountpoint: Path) -> int:
    """Mount over the file `mountpoint`; return the device to serve. Raises `OSError`."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode={_MODE:o},user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (b"crash-lab", os.fsencode(mountpoint), b"fuse.crash-lab")
    if libc.mount(*arguments, _MS_NOSUID | _MS_NODEV, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount: {os.strerror(ctypes.get_errno())}")
    return device


def main(mountpoint: Path, image: Path, log_folder: Path) -> None:
    """Mount, say so on standard output, and serve."""
    with LogWriter(log_folder) as log:
        file = LoggedFile(image, log)
        device = mount(mountpoint)
        print("mounted", flush=True)  # noqa: T201 - the word the laboratory waits for
        file.serve(device)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
