"""`bootctl`: RAUC's custom boot backend, and what tells the units which slot runs.

RAUC calls `get-primary`, `set-primary SLOT`, `get-state SLOT`, `set-state SLOT good|bad` and
`get-current`; a failure is any exit code but 0. `set-primary` of the other slot only arms a trial:
what boots for good changes in `set-state SLOT good` alone, and only from within that slot.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from poleside_image.boot_choice import BootChoiceError, other_slot
from poleside_image.boot_sector import BootSector, TrialSector
from poleside_image.firmware import Firmware

PARTITION = Path("/dev/disk/by-partlabel/bootcfg")
NOTE_FOLDER = Path("/run/poleside-boot")


class Bootctl:
    """The five questions. `note_folder` is where other units look which slot runs."""

    def __init__(self, sector: BootSector, firmware: Firmware, note_folder: Path) -> None:
        self._sector, self._firmware, self._note_folder = sector, firmware, note_folder

    def get_primary(self) -> str:
        kept = self._sector.read().kept
        return other_slot(kept) if self._firmware.is_armed() else kept

    def set_primary(self, slot: str) -> str:
        choice = self._sector.read()
        if slot == choice.kept:
            self._firmware.disarm_trial()
            return ""
        # Counted before it is armed: a cut between the two wastes a trial, never gives one away.
        self._sector.write(choice.tried(slot))
        self._firmware.arm_trial()
        return ""

    def get_state(self, slot: str) -> str:
        other_slot(slot)
        return "good" if self._sector.read().slot(slot).is_good else "bad"

    def set_state(self, slot: str, state: str) -> str:
        other_slot(slot)
        choice = self._sector.read()
        if state == "good":
            changed = choice.marked_good(slot, self._firmware.this_boot().slot)
        elif state == "bad":
            changed = choice.marked_bad(slot)
            self._firmware.disarm_trial()  # what is written to now must not be started
        else:
            raise BootChoiceError(f"a state is `good` or `bad`, not `{state}`")
        if changed != choice:  # no write at every boot
            self._sector.write(changed)
        if state == "good" and slot == self._firmware.this_boot().slot:
            (self._note_folder / "trial").unlink(missing_ok=True)  # it is over: updates may go on
        return ""

    def get_current(self) -> str:
        return self._firmware.this_boot().slot

    def note(self) -> str:
        """Leave under /run/poleside-boot which slot runs, `trial` when this is one.

        And `no-trials` where the firmware can't be asked for one: the agent fetches no update then.
        """
        boot = self._firmware.this_boot()
        self._note_folder.mkdir(parents=True, exist_ok=True)
        (self._note_folder / "slot").write_text(f"{boot.slot}\n")
        if boot.is_trial:
            (self._note_folder / "trial").touch()
        if not self._firmware.starts_trials():
            (self._note_folder / "no-trials").touch()
        return ""


def main(arguments: Sequence[str], bootctl: Bootctl | None = None) -> int:
    """Answer one question on standard output; else 1, with a sentence on standard error."""
    backend = bootctl or Bootctl(
        BootSector(PARTITION), Firmware(trial=TrialSector(PARTITION)), NOTE_FOLDER
    )
    calls: dict[str, tuple[int, Callable[..., str]]] = {
        "get-primary": (0, backend.get_primary),
        "set-primary": (1, backend.set_primary),
        "get-state": (1, backend.get_state),
        "set-state": (2, backend.set_state),
        "get-current": (0, backend.get_current),
        "note": (0, backend.note),
    }
    name, *rest = arguments or [""]
    if name not in calls or len(rest) != calls[name][0]:
        print(f"bootctl: one of {', '.join(calls)}, with its arguments", file=sys.stderr)
        return 2
    try:
        answer = calls[name][1](*rest)
    except (BootChoiceError, OSError) as error:
        print(f"bootctl: {error}", file=sys.stderr)
        return 1
    if answer:
        print(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
