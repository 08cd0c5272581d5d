"""Another network on trial (poleside-network.service): taken back unless confirmed in time.

The agent, which has no rights, leaves `plan.json`, and `confirm.json` when somebody said that it
is well. All else is here, so an agent that is killed, hangs or is cut off takes nothing along:
what was kept is in /data/image/network.json, a trial ends with its time or with the boot. What
came of it is told in /run/poleside-network/state.json.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poleside_image import network_files, service_socket, small_files
from poleside_image.programs import ProgramError, run
from poleside_image.service_socket import Socket

TRIAL_S = 300.0
LOOK_S = 0.5
FIRST = "poleside-provision/state.json"
PLAN, CONFIRM, STATE = "plan.json", "confirm.json", "state.json"
COMMANDS = (
    ("nft", "-f", "{run}/" + network_files.FIREWALL_FILE),
    ("udevadm", "control", "--reload"),
    ("networkctl", "reload"),
    ("systemctl", "try-restart", "chrony.service"),
)
_MOST_ID = 64
_pause = threading.Event().wait


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the agent's wishes lie, what outlives a boot, and what does not."""

    wishes: Path = Path("/var/lib/poleside/network")
    kept: Path = Path("/data/image/network.json")
    run: Path = Path("/run")
    net: Path = Path("/sys/class/net")

    @property
    def told(self) -> Path:
        return self.run / "poleside-network" / STATE


class Networks:
    """What is kept and what is on trial; every step is on the disk before it takes effect."""

    def __init__(
        self,
        folders: Folders,
        commands: Iterable[Sequence[str]] = COMMANDS,
        clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot: str = "",
        trial_s: float = TRIAL_S,
        take_names: Callable[[list[Socket], str], str] = service_socket.take_names,
    ) -> None:
        self._folders, self._commands, self._clock = folders, tuple(commands), clock
        self._boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._trial_s, self._take_names = trial_s, take_names
        found = small_files.read(folders.kept)
        self.kept: dict[str, Any] = _checked(found.get("kept"))
        trial = found.get("trial")
        self.trial: dict[str, Any] | None = trial if isinstance(trial, dict) else None

    def start(self) -> None:
        """Take a trial up again that this boot began; one of an earlier boot is over."""
        if self.trial is None:
            self._apply(self.kept)
            self._tell("")
        elif self.trial.get("boot") != self._boot:
            self._end("unconfirmed", self.trial)
        else:
            self._apply(_checked(self.trial.get("network")))
            self._tell("trial")

    def look(self) -> bool:
        """Take a plan, a confirmation, or the end of the time; say whether a trial goes on."""
        plan = self._taken(PLAN)
        if plan:
            self._try(plan)
        word = self._taken(CONFIRM)
        if self.trial is not None and word.get("plan_id") == self.trial["plan_id"]:
            self.kept = _checked(self.trial["network"])
            told, self.trial = self.trial, None
            self._store()
            self._tell("kept", told)
        elif self.trial is not None and self._clock() >= self.trial["until_s"]:
            self._end("unconfirmed", self.trial)
        return self.trial is not None

    def _try(self, plan: Mapping[str, Any]) -> None:
        plan_id, wish = str(plan.get("plan_id", ""))[:_MOST_ID], plan.get("network")
        try:
            network = network_files.checked(wish if isinstance(wish, dict) else {"": ""})
        except ValueError as error:
            self._tell("refused", {"plan_id": plan_id}, str(error))
            return
        self.trial = {
            "plan_id": plan_id,
            "network": network,
            "until_s": self._clock() + self._trial_s,
            "boot": self._boot,
        }
        self._store()
        if why := self._apply(network):
            self._end("failed", self.trial, why)
        else:
            self._tell("trial", self.trial)

    def _end(self, outcome: str, trial: Mapping[str, Any], why: str = "") -> None:
        self.trial = None
        self._store()
        self._apply(self.kept)
        self._tell(outcome, trial, why)

    def _taken(self, name: str) -> dict[str, Any]:
        path = self._folders.wishes / name
        found = small_files.read(path)
        path.unlink(missing_ok=True)
        return found

    def _store(self) -> None:
        small_files.write(self._folders.kept, {"kept": self.kept, "trial": self.trial}, 0o600)

    def _apply(self, network: Mapping[str, Any]) -> str:
        """Write the files and have them taken up; return what went wrong."""
        first = small_files.read(self._folders.run / FIRST)
        is_new = first.get("page_at_cameras") is True
        texts = network_files.rendered(network, page_at_cameras=is_new)
        for name in network_files.FILES:
            path = self._folders.run / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            if name in texts:
                path.write_text(texts[name])
                path.chmod(0o644)  # networkd is not root
            else:
                path.unlink(missing_ok=True)
        there = service_socket.sockets(self._folders.run, self._folders.net)
        wrong = self._take_names(there, network["service_socket"])
        failed = [wrong] if wrong else []
        for command in self._commands:
            try:
                run([part.format(run=self._folders.run) for part in command], within_s=30.0)
            except ProgramError as error:  # go on: what can still be made right, is
                failed.append(str(error))
        return "; ".join(failed)

    def _tell(self, outcome: str, about: Mapping[str, Any] | None = None, why: str = "") -> None:
        about = about or self.trial or {}
        state = {
            "network": self.trial["network"] if self.trial else self.kept,
            "until_s": self.trial["until_s"] if self.trial else None,
            "plan_id": about.get("plan_id", ""),
            "outcome": outcome,
            "why": why,
            "sockets": [
                {"name": one.name, "hardware": one.hardware, "path": one.path}
                for one in service_socket.sockets(self._folders.run, self._folders.net)
            ],
        }
        self._folders.told.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        small_files.write(self._folders.told, state)


def _checked(network: Any) -> dict[str, Any]:
    """Return what counts of what is on `data`; what only a later image knows stays out of it."""
    found = network if isinstance(network, dict) else {}
    try:
        return network_files.checked({key: found[key] for key in network_files.KEYS & set(found)})
    except ValueError:  # of an older image: its own networks count
        return network_files.checked({})


def main(arguments: list[str]) -> int:
    """`boot`: what is kept, before networkd starts. `run`: until no trial is under way."""
    networks = Networks(Folders(), COMMANDS[:2] if arguments == ["boot"] else COMMANDS)
    if arguments == ["boot"] or networks.trial is not None:
        networks.start()
    while arguments != ["boot"] and networks.look():
        _pause(LOOK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
