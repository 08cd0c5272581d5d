"""Power cuts over a first boot and an update: what a kill -9 of QEMU leaves, at many points of it.

One run goes from the flashed medium over the first boot, a signed order, fetch, installation, trial
and commit. At each point QEMU is stopped (SIGSTOP, all its threads), and its disk's file is copied:
what it holds then is what a kill -9 at that moment leaves, for what QEMU has not written yet is in
its memory alone. The center's store is copied in the same moment. Then each copy is booted, beside
a center that goes on from its copy, as at a pole: it must come up in the slot that its boot choice
names, with its data, and all that it answered before must come to the center.
"""

import csv
import io
import itertools
import queue
import re
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from poleside_image import boot_sector
from poleside_image.boot_choice import SECTOR_BYTES, from_sector, other_slot
from poleside_recipe import emulator, layout

from agent.core.errors import PolesideError
from tests.faults import image_trials as trials
from tests.faults.image_city import Caller, City

WITHIN_S = 900.0
GROWN_MIB = 1500
CHOICE_LOOK_S = 0.2
COLUMNS = ("cut", "at_s", "slot", "version", "data", "to_broker_s", "answered", "records", "failed")
FIRST_BOOT = (
    ("kernel", r"Linux version"),
    ("first program", r"Run /init as init process"),
    ("data mounted", r"poleside-init: data on"),
    ("data grows", r"EXT4-fs \(vda6\): resizing filesystem"),
    ("data grown", r"grow: data grown"),
    ("settings taken", r"provision: settings taken"),
    ("agent ready", r'"event":"core ready"'),
)
FETCH = (
    ("fetch begins", r'"stage":"fetching"'),
    ("fetched", r'"stage":"ready"'),
    ("asked", r'"stage":"asked"'),
)
INSTALLED = (
    ("installed", r"update: \{.*'installed'"),
    ("units stopped", r"Reached target umount\.target"),
    ("restart", r"reboot: Restarting system"),
)
TRIAL = (
    ("trial: GRUB", r"poleside: slot . edge\.trial=1"),
    ("trial: kernel", r"Linux version"),
    ("trial: first program", r"Run /init as init process"),
    ("trial: data mounted", r"poleside-init: data on"),
    ("trial: units", r"Reached target basic\.target"),
    ("trial: agent ready", r'"event":"core ready"'),
    ("trial: connected", trials.CONNECTED),
)
KEPT = (("commit: told", r"trial: kept"), ("commit: at the center", r'"stage":"committed"'))


@dataclass
class Cut:
    """What a power cut left, and what must come of it; `done`: orders answered as done before."""

    number: int
    point: str
    at_s: float
    folder: Path
    epochs: set = field(default_factory=set)
    done: tuple = ()
    facts: dict | None = None
    seen: dict = field(default_factory=dict)

    @property
    def disk(self):
        return self.folder / "disk.qcow2"


class Choice:
    """The boot choice on a disk, read from outside, also while QEMU has it."""

    def __init__(self, built):
        start = layout.partitions()[0].start_bytes
        part = built.medium.with_suffix(".bootcfg")
        names = {boot_sector.NAME: SECTOR_BYTES, boot_sector.TRIAL_NAME: boot_sector.TRIAL_BYTES}
        self._at = [start + boot_sector.offset_of(part, *each) for each in names.items()]

    def read(self, disk):
        """Return the slot that boots next, the kept one, and both sectors."""
        kept, trial = (emulator.sector(disk, at) for at in self._at)
        armed = b"trial=1" in trial
        slot = from_sector(kept).kept
        return (other_slot(slot) if armed else slot), slot, kept + trial


class Sweep:
    """`begin` and `update` make the cuts; `check`, on lanes of its own, boots what they left."""

    def __init__(self, built, folder, tell):
        self._built, self._folder, self._tell = built, folder, tell
        self._choice = Choice(built)
        self._city = City(folder)
        self._stick = emulator.settings_stick(self._city.settings, folder / "stick.img")
        self._disk = emulator.new_disk(built.medium, folder / "disk.qcow2", "8G")
        self._facts, self._caller, self._heard = None, None, 0
        self._numbers = itertools.count(1)
        self._waiting, self._is_over = queue.Queue(), threading.Event()
        self.cuts = []

    def run(self, bundle, version):
        """Go from the first boot to the kept update, cutting on the way."""
        hardware = emulator.Hardware(stick=self._stick, gate_limit_s=900)
        try:
            with emulator.Machine(self._disk, self._folder, hardware) as box:
                self._first_boot(box)
                with Caller(self._city, pause_s=2.0) as self._caller:
                    self._city.order(self._city.offer(bundle, version))
                    self._update(box)
        finally:
            self._is_over.set()
            self._city.close()

    def _first_boot(self, box):
        for point in FIRST_BOOT:
            self._at_words(box, *point)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        box.wait_for(trials.CONNECTED, WITHIN_S)
        self._city.give_keys(box)
        self._facts = trials.kept(box)

    def _update(self, box):
        begins, *rest = FETCH
        self._at_words(box, *begins)
        emulator.wait_s(5)
        self._cut(box, "fetching")
        for point in rest:
            self._at_words(box, *point)
        self._until_chosen(box, "installing", 10, 8)
        for point in INSTALLED + TRIAL:
            self._at_words(box, *point)
        self._until_chosen(box, "gate", 20, 4)
        for point in KEPT:
            self._at_words(box, *point)
        emulator.wait_s(10)
        self._cut(box, "after it")

    def _at_words(self, box, name, words):
        found = box.wait_for(words, WITHIN_S, self._heard)
        self._heard = found.end()
        self._cut(box, name)

    def _until_chosen(self, box, name, every_s, most):
        """Cut now and then, and in the moment in which what boots next is another slot.

        `every_s` grows by half each time: writing takes three minutes or fifteen.
        """
        before = self._choice.read(self._disk)
        next_s, count, end_s = time.monotonic() + every_s, 0, time.monotonic() + WITHIN_S
        while (now := self._choice.read(self._disk))[:2] == before[:2]:
            assert time.monotonic() < end_s, f"{name}: the boot choice stays"
            if now[2] != before[2]:
                before = now
                self._cut(box, f"{name}: slot noted as touched")
            elif time.monotonic() >= next_s and count < most:
                count, every_s = count + 1, 1.5 * every_s
                self._cut(box, f"{name} {count}")
                next_s = time.monotonic() + every_s
            emulator.wait_s(CHOICE_LOOK_S)
        self._cut(box, f"{name}: boot choice written")

    def _cut(self, box, name):
        number = next(self._numbers)
        cut = Cut(number, name, box.on_for_s, self._folder / f"c{number:02}", facts=self._facts)
        cut.folder.mkdir()
        with box.stopped(), self._city.stopped():
            shutil.copyfile(self._disk, cut.disk)
            shutil.copytree(self._city.data, cut.folder / "center")
            cut.done = tuple(self._caller.done) if self._caller else ()
            cut.epochs = {row[:2] for row in self._city.streams()}
        self.cuts.append(cut)
        self._waiting.put(cut)
        self._tell(f"cut {number}, {name}: {cut.at_s:.0f} s after power on")

    def check(self, lane):
        """Boot what was left by cuts until there is no more; a failure is noted in `seen`.

        A second lane begins after the run: beside it there is room for one box.
        """
        if lane:
            self._is_over.wait()
        while not (self._is_over.is_set() and self._waiting.empty()):
            try:
                cut = self._waiting.get(timeout=1)
            except queue.Empty:
                continue
            try:
                with _network(f"cut-{lane}-{self._folder.stat().st_ino}") as within:
                    self._come_up(cut, within)
            except (AssertionError, OSError, PolesideError, emulator.EmulationError) as error:
                cut.seen["failed"] = str(error)
            else:
                cut.disk.unlink()
            self._tell(f"after cut {cut.number}, {cut.point}: {cut.seen}")

    def _come_up(self, cut, within):
        slot, _, _ = self._choice.read(cut.disk)
        shutil.copyfile(self._stick, cut.folder / "stick.img")
        city = City(cut.folder, port=self._city.port, within=within)
        hardware = emulator.Hardware(
            stick=cut.folder / "stick.img", within=within, gate_limit_s=900
        )
        try:
            with emulator.Machine(cut.disk, cut.folder, hardware) as box:
                box.wait_for(trials.CONNECTED, WITHIN_S)
                cut.seen["s"] = round(box.on_for_s)
                ran = trials.slot(box)
                cut.seen |= {"slot": ran, "version": trials.release(box)}
                told = box.ask("cat /run/poleside-boot/medium; df --output=size -m /data | tail -1")
                cut.seen["data"] = " ".join(told.split()[:2])
                assert ran == slot, f"the boot choice says {slot}"
                assert "data=/dev/" in told
                assert int(told.split()[-1]) > GROWN_MIB
                if cut.facts:
                    trials.assert_kept(cut.facts, trials.kept(box))
                    _ping(city, within)
                    trials.until(lambda: _arrived(city, cut), 300)
                    cut.seen["records"] = sum(row[3] for row in city.streams())
                assert {row[:2] for row in city.streams()} >= cut.epochs
        finally:
            city.close()

    def table(self):
        """Return what came of each cut, as lines of tab-separated values."""
        lines = io.StringIO()
        table = csv.writer(lines, "excel-tab")
        table.writerow(COLUMNS)
        for cut in self.cuts:
            seen = [cut.seen.get(key, "") for key in ("slot", "version", "data", "s")]
            seen += [len(cut.done), cut.seen.get("records", ""), cut.seen.get("failed", "")[:200]]
            table.writerow([f"{cut.number} {cut.point}", round(cut.at_s), *seen])
        return lines.getvalue()


def _arrived(city, cut):
    """Tell whether all that was answered before is at the center, in the outbox it had then."""
    rows = city.streams()
    one_outbox = len({row[:2] for row in rows}) == len({row[0] for row in rows})
    return one_outbox and all(row[4] == 0 for row in rows) and _ended(city).issuperset(cut.done)


def _ping(city, within):
    """Order something new: had the outbox forgotten a number, its end would be taken for old."""
    command = [*within, *city.send({"op": "ping"})]
    for _ in range(20):
        told = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        if told.returncode == 0:
            break
        emulator.wait_s(1)
    assert told.returncode == 0, f"a new order is not done: {told.stdout}{told.stderr}"
    order = re.search(r'"id": ?"([^"]+)"', told.stdout)[1]
    trials.until(lambda: order in _ended(city), 120)


def _ended(city):
    return {each["command_id"] for each in city.audited() if each["outcome"] == "done"}


@contextmanager
def _network(name):
    """A network of its own, so that boxes with the same broker's address run side by side."""
    trials.ip("netns", "add", name)
    try:
        trials.ip("-n", name, "link", "set", "lo", "up")
        yield ("ip", "netns", "exec", name)
    finally:
        trials.ip("netns", "delete", name)
