"""A kernel's GPIO chips for the real libgpiod: answers the ioctls of <linux/gpio.h>, uAPI v2.

A STAND-IN for the kernel and the chip alone, for machines whose kernel has no GPIO: our code, the
`gpiod` package, libgpiod in C, and `poll`, `read` and `close` on the line's file are the real ones.
libgpiod's calls of `open`, `stat`, `realpath` and `ioctl` are led here by its own table of
addresses (GOT), so no compiler, no module and no rights are needed.
"""

import ctypes
import errno
import os
import select
import struct
import time
from contextlib import contextmanager, suppress
from ctypes import CFUNCTYPE, c_char, c_char_p, c_int, c_int32, c_ulong, c_void_p
from pathlib import Path

import gpiod

_LIBC = ctypes.CDLL(None, use_errno=True)
_XSTAT = _LIBC["__xstat"]  # what `stat` is inside, for programs built against older libraries
_XSTAT.argtypes = [c_int, c_char_p, c_void_p]
_LIBC.strdup.restype = c_void_p
_LIBC.realpath.argtypes, _LIBC.realpath.restype = [c_char_p, c_void_p], c_void_p
_LIBC.mprotect.argtypes = [c_void_p, ctypes.c_size_t, c_int]

U32, U64 = ctypes.c_uint32, ctypes.c_uint64
ACTIVE_LOW, INPUT, OUTPUT, RISING, FALLING = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
PULL_UP, PULL_DOWN, NO_BIAS, USED = 1 << 8, 1 << 9, 1 << 10, 1 << 0
_MAGIC, _CHIP_INFO, _LINE_INFO, _GET_LINE, _GET_VALUES, _SET_VALUES = 0xB4, 1, 5, 7, 0xE, 0xF
_OUTPUT_VALUES = 2
_EVENT = struct.Struct("=QIIII24x")


class ChipInfo(ctypes.Structure):
    _fields_ = [("name", c_char * 32), ("label", c_char * 32), ("lines", U32)]


class Attribute(ctypes.Structure):
    _fields_ = [("id", U32), ("padding", U32), ("value", U64)]


class LineInfo(ctypes.Structure):
    _fields_ = [
        ("name", c_char * 32),
        ("consumer", c_char * 32),
        ("offset", U32),
        ("num_attrs", U32),
        ("flags", U64),
        ("attrs", Attribute * 10),
        ("padding", U32 * 4),
    ]


class ConfigAttribute(ctypes.Structure):
    _fields_ = [("attr", Attribute), ("mask", U64)]


class LineConfig(ctypes.Structure):
    _fields_ = [
        ("flags", U64),
        ("num_attrs", U32),
        ("padding", U32 * 5),
        ("attrs", ConfigAttribute * 10),
    ]


class LineRequest(ctypes.Structure):
    _fields_ = [
        ("offsets", U32 * 64),
        ("consumer", c_char * 32),
        ("config", LineConfig),
        ("num_lines", U32),
        ("event_buffer_size", U32),
        ("padding", U32 * 5),
        ("fd", c_int32),
    ]


class LineValues(ctypes.Structure):
    _fields_ = [("bits", U64), ("mask", U64)]


_STRUCTS = {
    _CHIP_INFO: ChipInfo,
    _LINE_INFO: LineInfo,
    _GET_LINE: LineRequest,
    _GET_VALUES: LineValues,
    _SET_VALUES: LineValues,
}


class Line:
    """One pin. `level` is that of the wire; `levels` all it has had while it was an output."""

    def __init__(self, name):
        self.name, self.level, self.flags, self.consumer = name, 0, INPUT, b""
        self.levels, self._writer, self._seqno = [], None, 0

    @property
    def is_held(self):
        """Whether the file of the request is still open at the other end."""
        if self._writer is None:
            return False
        poll = select.poll()
        poll.register(self._writer, 0)
        if poll.poll(0):
            self.let_go()
        return self._writer is not None

    def request(self, flags, consumer, active):
        """Take the line; returns the file of the request."""
        reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self.flags, self.consumer = flags, consumer
        if flags & OUTPUT:
            self.put(active)
        elif flags & (PULL_UP | PULL_DOWN):
            self.level = int(bool(flags & PULL_UP))
        return reader

    def put(self, active):
        """Let the output be active or not."""
        self.level = int(bool(active) is not bool(self.flags & ACTIVE_LOW))
        self.levels.append(self.level)

    @property
    def is_active(self):
        return bool(self.level) is not bool(self.flags & ACTIVE_LOW)

    def drive(self, level):
        """Change the level of an input from outside, and tell it as an edge."""
        if level == self.level:
            return
        self.level = level
        wanted = RISING if self.is_active else FALLING
        if self.is_held and self.flags & wanted:
            self._seqno += 1
            kind = 1 if self.is_active else 2
            event = _EVENT.pack(time.monotonic_ns(), kind, 0, self._seqno, self._seqno)
            os.write(self._writer, event)

    def let_go(self):
        if self._writer is not None:
            os.close(self._writer)
        self._writer, self.flags, self.consumer = None, INPUT, b""


class Chip:
    """One chip at `folder`/dev/`name`; `refuses` is the errno with which it can't be opened."""

    def __init__(self, folder, name, label, names):
        self.path = folder / "dev" / name
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self.name, self.label = name.encode(), label.encode()
        self.lines = [Line(name) for name in names]
        self.refuses = 0

    def line(self, name):
        return next(line for line in self.lines if line.name == name)

    def vanish(self):
        """Pull the chip out: its file goes, who waits is woken, who asks gets ENODEV."""
        self.path.unlink()
        self.refuses = errno.ENODEV
        for line in self.lines:
            line.let_go()


class Kernel:
    """Has `chips`; `files` maps an open file to the chip, or to (chip, line)."""

    def __init__(self, folder):
        self.folder, self.chips, self.files = folder, [], {}

    def chip(self, name="gpiochip0", label="pinctrl-test", names=("GPIO17", "GPIO27")):
        self.chips.append(Chip(self.folder, name, label, names))
        return self.chips[-1]

    def _of(self, path):
        return next((chip for chip in self.chips if os.fsencode(chip.path) == path), None)

    def open(self, path, flags):
        chip = self._of(path)
        if chip is None or not chip.path.exists():
            return -errno.ENOENT
        if chip.refuses:
            return -chip.refuses
        file = os.open("/dev/null", flags)
        self.files[file] = chip
        return file

    def stat(self, version, path, buffer):
        chip = self._of(path)
        if chip is None or not chip.path.exists():
            return -errno.ENOENT
        return _XSTAT(version, b"/dev/null", buffer)  # a character device

    def realpath(self, path, buffer):
        if path.startswith(b"/sys/dev/char/") and path.endswith(b"/subsystem"):
            return _LIBC.strdup(b"/sys/bus/gpio")
        return _LIBC.realpath(path, buffer)

    def ioctl(self, file, command, argument):
        number = command & 0xFF
        kind = _STRUCTS.get(number)
        known = self.files.get(file)
        if known is None or kind is None or (command >> 8) & 0xFF != _MAGIC:
            return -errno.ENOTTY
        assert ctypes.sizeof(kind) == (command >> 16) & 0x3FFF  # our header is libgpiod's
        told = kind.from_address(argument)
        chip = known if isinstance(known, Chip) else known[0]
        if chip.refuses:
            return -chip.refuses
        if number == _CHIP_INFO:
            told.name, told.label, told.lines = chip.name, chip.label, len(chip.lines)
        elif number == _LINE_INFO:
            line = chip.lines[told.offset]
            told.name, told.consumer = (line.name or "").encode(), line.consumer
            told.flags = line.flags | (USED if line.is_held else 0)
        elif number == _GET_LINE:
            return self._request(chip, told)
        elif number == _GET_VALUES:
            told.bits = int(known[1].is_active)
        else:
            known[1].put(told.bits & 1)
        return 0

    def _request(self, chip, told):
        line = chip.lines[told.offsets[0]]
        if line.is_held:
            return -errno.EBUSY
        values = [
            told.config.attrs[i].attr.value
            for i in range(told.config.num_attrs)
            if told.config.attrs[i].attr.id == _OUTPUT_VALUES
        ]
        told.fd = line.request(told.config.flags, told.consumer, any(value & 1 for value in values))
        self.files[told.fd] = (chip, line)
        return 0

    def close(self):
        for chip in self.chips:
            for line in chip.lines:
                line.let_go()


@contextmanager
def running_kernel(folder: Path):
    """Yield a `Kernel` that libgpiod talks to; `GpioLines(folder)` sees its chips."""
    kernel = Kernel(folder)

    def c_answer(answer):
        if answer < 0:
            ctypes.set_errno(-answer)
            return -1
        return answer

    stat = CFUNCTYPE(c_int, c_int, c_char_p, c_void_p, use_errno=True)(
        lambda *told: c_answer(kernel.stat(*told))
    )
    calls = {
        "open": CFUNCTYPE(c_int, c_char_p, c_int, use_errno=True)(
            lambda *told: c_answer(kernel.open(*told))
        ),
        "ioctl": CFUNCTYPE(c_int, c_int, c_ulong, c_void_p, use_errno=True)(
            lambda *told: c_answer(kernel.ioctl(*told))
        ),
        "realpath": CFUNCTYPE(c_void_p, c_char_p, c_void_p)(kernel.realpath),
        "__xstat": stat,
        "__lxstat": stat,
    }
    slots = list(_slots(Path(gpiod._ext.__file__), set(calls)))
    assert {name for name, _ in slots} == set(calls), "libgpiod calls the system by other names"
    before = {address: _exchange(address, calls[name]) for name, address in slots}
    try:
        yield kernel
    finally:
        for address, function in before.items():
            _exchange(address, function)
        kernel.close()


def _exchange(address, function):
    """Write a function's address into a slot of the table; returns what was there."""
    page = address & ~(os.sysconf("SC_PAGESIZE") - 1)
    with suppress(OSError):
        _LIBC.mprotect(page, 16 + address - page, 3)  # read and write: it may be sealed
    slot = c_void_p.from_address(address)
    old, slot.value = slot.value, ctypes.cast(function, c_void_p).value
    return old


def _slots(library, names):
    """Yield (name, address) of each slot that leads a call of `names` out of a loaded library.

    ELF-64: .rela.plt and .rela.dyn name a symbol of .dynsym for each slot.
    """
    image = library.read_bytes()
    table, entry, count = (
        struct.unpack_from("<Q", image, 0x28)[0],
        *struct.unpack_from("<HH", image, 0x3A),
    )
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + i * entry) for i in range(count)]
    symbols = next(section for section in sections if section[1] == 11)  # SHT_DYNSYM
    strings = sections[symbols[6]][4]
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        base = min(int(line.split("-")[0], 16) for line in maps if str(library) in line)
    for section in sections:
        if section[1] != 4:  # SHT_RELA
            continue
        for at in range(section[4], section[4] + section[5], 24):
            offset, info, _ = struct.unpack_from("<QQq", image, at)
            if info >> 32 == 0:
                continue
            (name_at,) = struct.unpack_from("<I", image, symbols[4] + (info >> 32) * 24)
            name = image[strings + name_at : image.index(b"\0", strings + name_at)].decode()
            if name in names:
                yield name, base + offset
