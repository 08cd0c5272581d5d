"""A technician's key to a shell (poleside-shell.service): off at first, and off again by itself.

The agent, which has no rights, leaves `plan.json` when somebody who claimed the box asked at its
page. The key is judged here and kept in /data/image/shell.json with its end, so that it lasts over
a restart and an update, and never longer than it was given for. While it is in force sshd runs, for
this key and the user `technician` alone, and the firewall lets its port through from the service
side. What is in force is told in /run/poleside-shell/state.json.
"""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from poleside_image import small_files
from poleside_image.programs import ProgramError, run

PLAN, STATE, KEYS, HOST_KEY = "plan.json", "state.json", "authorized_keys", "host_key"
MOST_S = 72 * 3600.0
LOOK_S = 1.0
_KEY = re.compile(
    r"(ssh-ed25519|sk-ssh-ed25519@openssh\.com|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa)"
    r" +([A-Za-z0-9+/]{40,2000}={0,2})(?: .*)?"
)
_LEAST_RSA_CHARS = 500  # of base 64: 3072 bits
_pause = threading.Event().wait


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the agent's wishes lie, what outlives a boot, and what does not."""

    wishes: Path = Path("/var/lib/poleside/shell")
    kept: Path = Path("/data/image/shell.json")
    host_key: Path = Path("/data/image/ssh_host_ed25519_key")
    run: Path = Path("/run/poleside-shell")
    user: str = "technician"


def _wall_s() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def _on_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def checked_key(text: object) -> str:
    """Return an OpenSSH public key without options and comment. Raises `ValueError`."""
    found = _KEY.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or (found[1] == "ssh-rsa" and len(found[2]) < _LEAST_RSA_CHARS):
        raise ValueError("it is no public key of ed25519, ecdsa, or rsa from 3072 bits")
    return f"{found[1]} {found[2]}"


def checked_span_s(hours: object) -> float:
    """Return for how long. Raises `ValueError`."""
    if not isinstance(hours, int | float) or not 0 < hours * 3600 <= MOST_S:
        raise ValueError("it may be given for 72 hours at most")
    return hours * 3600.0


class Shell:
    """What is in force: `until_s` of the wall clock, 0 for nothing."""

    def __init__(
        self,
        folders: Folders,
        now_s: Callable[[], float] = _wall_s,
        on_s: Callable[[], float] = _on_s,
    ) -> None:
        self._folders, self._now_s, self._on_s = folders, now_s, on_s
        self.key, self.until_s, self.by, self._plan_id = "", 0.0, "", ""
        found = small_files.read(folders.kept)
        try:
            self.key, self.until_s = checked_key(found.get("key")), float(found.get("until_s", 0))
            self.by = str(found.get("by", ""))[:64]
        except (TypeError, ValueError):
            self.key = ""
        self._ends_on_s = on_s() + min(self.until_s - now_s(), MOST_S)

    @property
    def is_on(self) -> bool:
        """Whether the key is in force; a clock that is set back gives it no more time in a boot."""
        is_in_time = 0 < self.until_s - self._now_s() <= MOST_S and self._on_s() < self._ends_on_s
        return bool(self.key) and is_in_time

    def look(self) -> bool:
        """Take a plan, or the end of the time; say whether a key is in force."""
        path = self._folders.wishes / PLAN
        plan = small_files.read(path)
        path.unlink(missing_ok=True)
        if plan:
            self._take(plan)
        elif self.key and not self.is_on:
            self._end("expired")
        return self.is_on

    def start(self) -> None:
        """Take up what is kept: after a boot, or after this program was killed."""
        if self.is_on:
            self._begin()
        else:
            self._end("expired" if self.key else "")

    def _take(self, plan: Mapping[str, Any]) -> None:
        self._plan_id = str(plan.get("plan_id", ""))[:64]
        if plan.get("action") == "off":
            self._end("off")
            return
        try:
            key, span_s = checked_key(plan.get("key")), checked_span_s(plan.get("hours"))
        except (TypeError, ValueError) as error:
            self._tell("refused", str(error))
            return
        self.key, self.by = key, str(plan.get("by", ""))[:64]
        self.until_s, self._ends_on_s = self._now_s() + span_s, self._on_s() + span_s
        small_files.write(
            self._folders.kept, {"key": key, "until_s": self.until_s, "by": self.by}, 0o600
        )
        self._begin()

    def _begin(self) -> None:
        folders = self._folders
        until = datetime.fromtimestamp(self.until_s, UTC).strftime("%Y%m%d%H%MZ")
        folders.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        keys = folders.run / KEYS
        keys.write_text(f'restrict,pty,expiry-time="{until}" {self.key}\n')
        keys.chmod(0o644)
        try:
            if not folders.host_key.exists():
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folders.host_key)])
            self._lend_host_key()
            run(["systemctl", "restart", "poleside-sshd.service"])
            run(["nft", "add", "element", "inet", "poleside", "shell_ports", "{ 22 }"])
        except (ProgramError, OSError, LookupError) as error:
            self._end("failed", str(error))
        else:
            self._tell("on")

    def _lend_host_key(self) -> None:
        """Give sshd, which runs as the technician, its key; nothing of it is root."""
        lent = self._folders.run / HOST_KEY
        lent.unlink(missing_ok=True)
        lent.touch(mode=0o600)
        lent.write_bytes(self._folders.host_key.read_bytes())
        shutil.chown(lent, self._folders.user, self._folders.user)

    def _end(self, outcome: str, why: str = "") -> None:
        self.key, self.until_s, self.by = "", 0.0, ""
        self._folders.kept.unlink(missing_ok=True)
        for name in (KEYS, HOST_KEY):
            (self._folders.run / name).unlink(missing_ok=True)
        for command in (
            ["nft", "flush", "set", "inet", "poleside", "shell_ports"],
            ["systemctl", "stop", "poleside-sshd.service"],  # and whoever is signed in
        ):
            try:
                run(command)
            except ProgramError as error:
                print(f"shell: {error}", file=sys.stderr)
        self._tell(outcome, why)

    def _tell(self, outcome: str, why: str = "") -> None:
        self._folders.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        state = {"until_s": self.until_s, "by": self.by, "outcome": outcome, "why": why}
        state["plan_id"] = self._plan_id
        small_files.write(self._folders.run / STATE, state)


def main() -> int:
    """Take up what is kept, and go on until no key is in force."""
    shell = Shell(Folders())
    shell.start()
    while shell.look():
        _pause(LOOK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
