"""Whatever is installed, tried, kept or cut off: what boots is a complete, working system."""

import configparser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poleside_image.boot_choice import (
    FIRST,
    PARTITION_OF,
    BootChoiceError,
    from_sector,
    other_slot,
    to_sector,
)
from poleside_image.boot_sector import BootSector
from poleside_image.bootctl import Bootctl
from poleside_image.firmware import Boot, Firmware


class PowerCutError(Exception):
    """The mains are gone in this very moment."""


class Box(BootSector, Firmware):
    """One box: a sector that lasts, a trial flag, and what the two slots hold.

    `flag_lasts` over a power cut where it is GRUB's; a Raspberry Pi's is gone. `cut_in` counts the
    moments (before and after every write) down to the cut.
    """

    def __init__(self, flag_lasts=False):
        self.flag_lasts = flag_lasts
        self.sector, self.armed, self.cut_in = to_sector(FIRST), False, None
        self.holds = {"a": "works", "b": "works"}
        self.running = Boot("a", is_trial=False)
        self.bootctl = Bootctl(self, self, Path("/nowhere"))

    def moment(self):
        if self.cut_in is not None:
            self.cut_in -= 1
            if self.cut_in < 0:
                raise PowerCutError

    def read(self):
        return from_sector(self.sector)

    def write(self, choice):
        self.moment()
        self.sector = to_sector(choice)
        self.moment()

    def this_boot(self):
        return self.running

    def arm_trial(self):
        self.moment()
        self.armed = True
        self.moment()

    def disarm_trial(self):
        self.moment()
        self.armed = False
        self.moment()

    def is_armed(self):
        return self.armed

    def start(self):
        """Boot as the firmware does: it knows the file and its flag, nothing of our code."""
        file = configparser.ConfigParser(comment_prefixes="#")
        file.read_string(self.sector.decode())
        section = "tryboot" if self.armed else "all"
        is_trial, self.armed = self.armed, False
        partition = int(file[section]["boot_partition"])
        slot = next(name for name, number in PARTITION_OF.items() if number == partition)
        self.running = Boot(slot, is_trial)
        if not is_trial:
            assert self.holds[slot] == "works"
        elif self.holds[slot] == "torn":  # the kernel panics, or the watchdog bites
            self.start()

    def install(self, outcome):
        """What RAUC does, in its order."""
        idle = other_slot(self.running.slot)
        self.bootctl.set_state(idle, "bad")
        self.holds[idle] = "torn"
        self.moment()
        self.holds[idle] = outcome
        self.moment()
        self.bootctl.set_primary(idle)

    def judge(self):
        """The health gate."""
        if not self.running.is_trial:
            return
        if self.holds[self.running.slot] == "works":
            self.bootctl.set_state(self.running.slot, "good")
            self.running = Boot(self.running.slot, is_trial=False)
        else:
            self.start()


steps = st.lists(
    st.tuples(
        st.sampled_from(["install good", "install broken", "restart", "judge", "arm again", "bad"]),
        st.none() | st.integers(0, 8),
    ),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.booleans())
def test_a_cut_at_any_moment_leaves_a_system_that_works(history, flag_lasts):
    box = Box(flag_lasts)
    for step, box.cut_in in history:
        actions = {
            "install good": lambda: box.install("works"),
            "install broken": lambda: box.install("fails"),
            "restart": box.start,
            "judge": box.judge,
            "arm again": lambda: box.bootctl.set_primary(other_slot(box.running.slot)),
            "bad": lambda: box.bootctl.set_state(other_slot(box.running.slot), "bad"),
        }
        try:
            actions[step]()
        except PowerCutError:
            box.armed = box.armed and flag_lasts
            box.start()
        except BootChoiceError:
            pass  # refused: nothing has changed
        assert box.holds[box.read().kept] == "works"


def test_a_good_update_runs_after_two_restarts_and_stays():
    box = Box()
    box.install("works")
    box.start()
    assert box.running == Boot("b", is_trial=True)
    box.judge()
    box.start()
    assert box.running == Boot("b", is_trial=False)


def test_a_system_that_never_passes_is_given_up():
    box = Box()
    box.install("fails")
    for _ in range(2):
        box.start()
        box.judge()
        box.bootctl.set_primary("b")
    box.start()
    box.judge()
    with pytest.raises(BootChoiceError, match="3 trials"):
        box.bootctl.set_primary("b")
