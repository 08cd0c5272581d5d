"""Power cuts over updates: each power-on of the box ends by a kill -9 of QEMU at a chosen point.

The points go round: in a plain boot, while it fetches, while RAUC writes, as it restarts, while the
new system boots, and while the health gate looks and keeps it. Each power-on goes on where the one
before was cut, as at a pole.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass

from poleside_recipe import emulator

from agent.contract.updates import UpdateStage
from tests.faults import image_trials as trials

WITHIN_S = 900.0
TRIAL = r"poleside: slot . edge\.trial=1"


@dataclass(frozen=True)
class Point:
    """Cut so long (s) after the console said `words`; without words, after the power came."""

    name: str
    words: str
    between_s: tuple[float, float]


FETCH = Point("fetch", r'"stage":"fetching"', (1, 12))
INSTALL = Point("install", r'"stage":"asked"', (3, 45))
RESTART = Point("restart", r"update: \{.*'installed'", (0, 8))
NEW_BOOT = Point("boot of the new", TRIAL, (1, 50))
GATE = Point("gate and commit", TRIAL + r"(?s:.*)" + trials.CONNECTED, (45, 85))
BOOT = Point("plain boot", "", (3, 50))
# After RESTART the new system is armed: NEW_BOOT and GATE meet it as the power comes back.
ROUND = (FETCH, INSTALL, RESTART, NEW_BOOT, BOOT, INSTALL, RESTART, GATE, BOOT, FETCH)


class Sweep:
    """`bundles` by version are ordered by turns, whenever no update is under way."""

    def __init__(self, city, disk, folder, stick, bundles, tell):
        self._city, self._disk, self._folder, self._tell = city, disk, folder, tell
        self._hardware = emulator.Hardware(stick=stick)
        self._orders = [city.offer(file, version) for version, file in bundles.items()]
        self._chance = random.Random(int(os.environ.get("POLESIDE_SEED", "10")))
        self._facts, self._came_up, self._cuts = {}, 0, Counter()
        self._ran = Counter()

    def begin(self):
        """Boot for the first time, and note who the box is."""
        with self._on() as box:
            box.wait_for(trials.CONNECTED, WITHIN_S)
            box.wait_for("Reached target.*multi-user", WITHIN_S)
            self._city.give_keys(box)
            self._facts = self._seen(box)[0]

    def run(self, cuts):
        for number in range(cuts):
            point = ROUND[number % len(ROUND)]
            after_s = self._chance.uniform(*point.between_s)
            with self._on() as box:
                self._reach(box, point)
                emulator.wait_s(after_s)
                self._cuts[point.name] += 1
                last = (box.console().strip().splitlines() or [""])[-1][:90]
                self._tell(
                    f"cut {number + 1}: {point.name}, {box.on_for_s:.0f} s after power on: {last}"
                )

    def end(self, has_all):
        """Boot once more, until the center has all that waited."""
        with self._on() as box:
            box.wait_for(trials.CONNECTED, WITHIN_S)
            trials.until(has_all, WITHIN_S)

    def summary(self):
        return f"cuts: {dict(self._cuts)}; came up {self._came_up} times: {dict(self._ran)}"

    def _on(self):
        return emulator.Machine(self._disk, self._folder, self._hardware)

    def _reach(self, box, point):
        if not point.words:
            return
        if point is not NEW_BOOT:
            self._up(box)
        try:
            box.wait_for(point.words, 420)
        except emulator.EmulationError:
            self._tell(f"{point.name} was not reached: {self._city.update()}")

    def _up(self, box):
        """Wait until it speaks to the center; give it something to do when it has nothing."""
        box.wait_for(trials.CONNECTED, WITHIN_S)
        facts, ran, is_trial = self._seen(box)
        assert facts == self._facts
        self._came_up += 1
        self._ran[ran] += 1
        told = self._city.update()
        is_idle = told is None or told.stage.is_final or told.stage is UpdateStage.READY
        if is_idle and not is_trial:
            (order,) = [each for each in self._orders if each["version"] != ran][:1]
            self._city.order(order)

    def _seen(self, box):
        """Return what must never change, what runs, and whether it is on trial."""
        told = box.ask(
            "cat /etc/machine-id; findmnt -no FSTYPE /data; cat /run/poleside-boot/slot;"
            " ls /run/poleside-boot"
        ).split()
        return {"id": told[0], "data": told[1]}, trials.release(box), "trial" in told[3:]
