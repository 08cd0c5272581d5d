"""Which slot boots: the rules, and the one sector they are kept in. No input or output here.

The whole state is the `autoboot.txt` a Raspberry Pi's firmware reads, padded to one sector; what
the firmware does not know stands in comments. One sector is one write, so there is never a state
between two: a power cut leaves the old choice or the new one.

A trial is armed outside of it (`reboot "0 tryboot"`): the firmware forgets that flag by itself.
"""

import re
from dataclasses import dataclass, replace

SECTOR_BYTES = 512
SLOTS = ("a", "b")
PARTITION_OF = {"a": 2, "b": 3}  # boot_a and boot_b, as the firmware counts
MOST_TRIALS = (
    3  # a power cut ends a trial too; a system that never passes must not be tried for ever
)

_LINE = re.compile(r"^# slot=([ab]) state=(good|bad) trials=(\d+)$", re.MULTILINE)
_KEPT = re.compile(r"\[all\]\s+tryboot_a_b=1\s+boot_partition=([23])\b")


class BootChoiceError(Exception):
    """The choice can't be read, or what was asked would leave the box without a system."""


@dataclass(frozen=True, slots=True)
class Slot:
    """`is_good`: complete, not known to fail. `trials`: how often it was tried since written."""

    is_good: bool
    trials: int = 0


@dataclass(frozen=True, slots=True)
class BootChoice:
    """`kept` boots unless a trial is armed. It is good at all times: that is the whole promise."""

    kept: str
    a: Slot
    b: Slot

    def slot(self, name: str) -> Slot:
        return {"a": self.a, "b": self.b}[name]

    def _with(self, name: str, slot: Slot) -> "BootChoice":
        return replace(self, a=slot) if name == "a" else replace(self, b=slot)

    def tried(self, name: str) -> "BootChoice":
        """Count a trial of the other slot, before it is armed.

        Raises `BootChoiceError` when it was tried often enough.
        """
        slot = self.slot(name)
        if slot.trials >= MOST_TRIALS:
            raise BootChoiceError(f"slot {name} has failed {slot.trials} trials; install it again")
        return self._with(name, replace(slot, trials=slot.trials + 1))

    def marked_good(self, name: str, running: str) -> "BootChoice":
        """Keep `name`. Only the system that runs can show that it is good."""
        if name != running:
            raise BootChoiceError(f"slot {name} does not run, so nobody knows that it is good")
        return replace(self._with(name, Slot(is_good=True)), kept=name)

    def marked_bad(self, name: str) -> "BootChoice":
        """Never boot `name` again, unless written anew: RAUC says so before it writes to a slot.

        Raises `BootChoiceError` when no other slot is good.
        """
        other = other_slot(name)
        marked = self._with(name, Slot(is_good=False))
        if name != self.kept:
            return marked
        if not self.slot(other).is_good:
            raise BootChoiceError(f"slot {name} stays: slot {other} is not known to be good")
        return replace(marked, kept=other)


def other_slot(name: str) -> str:
    """Return "b" for "a" and the other way round. Raises `BootChoiceError` for any other name."""
    if name not in SLOTS:
        raise BootChoiceError(f"a slot is `a` or `b`, not `{name}`")
    return "b" if name == "a" else "a"


FIRST = BootChoice(
    kept="a", a=Slot(is_good=True), b=Slot(is_good=True)
)  # both written by the flash


def to_sector(choice: BootChoice) -> bytes:
    """Return the 512 bytes of `autoboot.txt`."""
    lines = [
        "[all]",
        "tryboot_a_b=1",
        f"boot_partition={PARTITION_OF[choice.kept]}",
        "[tryboot]",
        f"boot_partition={PARTITION_OF[other_slot(choice.kept)]}",
    ]
    for name in SLOTS:
        slot = choice.slot(name)
        state = "good" if slot.is_good else "bad"
        lines.append(f"# slot={name} state={state} trials={slot.trials}")
    text = "\n".join(lines) + "\n#"
    return text.encode().ljust(SECTOR_BYTES - 1, b" ") + b"\n"


def from_sector(sector: bytes) -> BootChoice:
    """Read it back. Raises `BootChoiceError` when this is not a choice of ours."""
    text = sector.decode("ascii", "replace")
    kept = _KEPT.search(text)
    slots = {
        name: Slot(state == "good", int(trials)) for name, state, trials in _LINE.findall(text)
    }
    if kept is None or set(slots) != set(SLOTS):
        raise BootChoiceError("autoboot.txt is not one this image has written")
    name = "a" if int(kept[1]) == PARTITION_OF["a"] else "b"
    if not slots[name].is_good:
        raise BootChoiceError(f"autoboot.txt keeps slot {name}, which it calls bad")
    return BootChoice(kept=name, **slots)
