"""How a box is taken into hands: its own secret (QR label), and being there in person.

The secret is made when the box is made (`poleside claim secret`) and only its verifier stays. Being
there is shown by the claim button, or by a code read from the console (`poleside claim code`). Both
together also let a technician back in who has lost the password; the chain tells of it.
"""

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.whole_file import write_whole
from agent.local.access.people import AccessError, is_right, verifier_of

LABEL_FILE: Final = "claim-secret"
CODE_FILE: Final = "claim-code.json"  # in the run folder: gone with the power
CODE_S, PRESS_S = 600.0, 120.0
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: nothing to be misread
_MISREAD: Final = str.maketrans("OIL", "011", "- ")
_SECRET_CHARS, _GROUP = 16, 4  # 80 random bits


class _Code(Struct, frozen=True):
    code: str
    made_mono_s: float


def make_secret(data_dir: Path, book: Path | None = None) -> str:
    """Return a new secret for the label; an older one is worth nothing from now on.

    `book` is the folder off the disk where the box remembers its disk, if there is one.
    """
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARS))
    verifier = verifier_of(text).encode()
    try:
        _write(_secret_file(data_dir), verifier)
        if book is not None and book.is_dir():
            _write(book / LABEL_FILE, verifier)
    except OSError as error:
        raise StorageError(
            "storage.not_writable",
            f"The secret can't be stored in {data_dir}: {error.strerror}.",
            hint="Run as the agent's user, or give the right --data-dir.",
        ) from error
    return "-".join(text[at : at + _GROUP] for at in range(0, _SECRET_CHARS, _GROUP))


def remember_secret(data_dir: Path, book: Path) -> None:
    """Keep the label's secret off the disk, too: a foreign disk brings another box's."""
    with suppress(OSError):  # no secret yet, or no room: the disk's own counts
        if not (book / LABEL_FILE).exists():
            _write(book / LABEL_FILE, _secret_file(data_dir).read_bytes())


def make_code(run_folder: Path, clock: Clock) -> str:
    """Return a fresh code for the console, good once and for ten minutes."""
    code = f"{secrets.randbelow(10**6):06}"
    body = msgspec.json.encode(_Code(code, clock.monotonic_s()))
    write_whole(run_folder / CODE_FILE, body, 0o600)
    return code


class ClaimCheck:
    """Checks both halves; `pressed` is called when the claim button is.

    The secret kept in `book` goes before the disk's: the box's label stays good on any disk.
    """

    def __init__(
        self, data_dir: Path, run_folder: Path, clock: Clock, book: Path | None = None
    ) -> None:
        self._code_file, self._clock = run_folder / CODE_FILE, clock
        self._places = (*((book / LABEL_FILE,) if book else ()), _secret_file(data_dir))
        self._pressed_s: float | None = None

    def pressed(self) -> None:
        """Somebody is there: for two minutes no code is needed."""
        self._pressed_s = self._clock.monotonic_s()

    def check(self, secret: str, code: str) -> None:
        """Use both up. Raises `AccessError`: access.no_secret, access.claim. Takes a while."""
        place = next((one for one in self._places if os.access(one, os.R_OK)), None)
        if place is None:
            raise AccessError(
                "access.no_secret",
                "This box was never given a secret.",
                hint="Make one at its console: `poleside claim secret`.",
            )
        verifier = place.read_text("ascii")
        is_known = is_right(secret.upper().translate(_MISREAD), verifier)
        if not (is_known and self._is_there(code.strip())):
            raise AccessError(
                "access.claim",
                "The secret or the proof of being there is wrong.",
                hint="Press the claim button, or read a new code at the console.",
            )
        self._pressed_s = None
        self._code_file.unlink(missing_ok=True)

    def _is_there(self, code: str) -> bool:
        now_s = self._clock.monotonic_s()
        if self._pressed_s is not None and now_s - self._pressed_s <= PRESS_S:
            return True
        try:
            known = msgspec.json.decode(self._code_file.read_bytes(), type=_Code)
        except (OSError, msgspec.MsgspecError):
            return False
        is_fresh = 0 <= now_s - known.made_mono_s <= CODE_S
        return is_fresh and hmac.compare_digest(known.code.encode(), code.encode())


def _secret_file(data_dir: Path) -> Path:
    return data_dir / "keys" / LABEL_FILE


def _write(path: Path, content: bytes) -> None:
    """Write it for the agent alone, also when root is at the console."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, content, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
