"""How a box is taken into hands: its own secret (QR label), and being there in person.

The secret is made when the box is made (`poleside claim secret`, or by the image at its first boot)
and only its verifier stays. Being there is shown by the claim button, by a code read from the
console (`poleside claim code`), or, where the settings name no such button, by switching on the
image's box: one that nobody has claimed yet, or one with a technician's stick in it. Both together
also let a technician back in who has lost the password; the chain tells of it.
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
LABEL_OVER: Final = "label-over"  # beside it, from the first claim on: the image forgets its label
LABEL_TOLD: Final = "poleside-provision/label.json"  # under /run: the image's, until then
BOOT_TOLD: Final = "poleside-provision/state.json"
CODE_S, PRESS_S, SWITCHED_ON_S = 600.0, 120.0, 1800.0
SECRET_CHARS: Final = 16  # 80 random bits
_GROUP: Final = 4
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: nothing to be misread
_MISREAD: Final = str.maketrans("OIL", "011", "- ")


class _Label(Struct, frozen=True):
    secret: str = ""


class _Boot(Struct, frozen=True):
    is_visited: bool = False  # a technician's stick, with the file that says so, was in the box


class _Code(Struct, frozen=True):
    code: str
    made_mono_s: float


def new_secret() -> str:
    """Return a secret for a label, in groups."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_CHARS))
    return "-".join(text[at : at + _GROUP] for at in range(0, SECRET_CHARS, _GROUP))


def make_secret(data_dir: Path, book: Path | None = None) -> str:
    """Return a new secret for the label; an older one is worth nothing from now on.

    `book` is the folder off the disk where the box remembers its disk, if there is one.
    """
    text = new_secret()
    verifier = verifier_of(text.replace("-", "")).encode()
    try:
        _keep(verifier, data_dir, book)
    except OSError as error:
        raise StorageError(
            "storage.not_writable",
            f"The secret can't be stored in {data_dir}: {error.strerror}.",
            hint="Run as the agent's user, or give the right --data-dir.",
        ) from error
    return text


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

    The secret kept in `book` goes before the disk's: the box's label stays good on any disk. That
    of the image, told in `image_run`, goes before both, until the box is claimed.
    """

    def __init__(
        self,
        data_dir: Path,
        run_folder: Path,
        clock: Clock,
        book: Path | None = None,
        image_run: Path | None = None,
        *,
        has_button: bool = False,
    ) -> None:
        self._code_file, self._clock = run_folder / CODE_FILE, clock
        self._data_dir, self._book, self._image_run = data_dir, book, image_run
        self._has_button = has_button
        self._places = (*((book / LABEL_FILE,) if book else ()), _secret_file(data_dir))
        self._pressed_s: float | None = None

    def pressed(self) -> None:
        """Somebody is there: for two minutes no code is needed."""
        self._pressed_s = self._clock.monotonic_s()

    def check(self, secret: str, code: str) -> None:
        """Use both up. Raises `AccessError`: access.no_secret, access.claim. Takes a while."""
        if label := self._label_secret():
            self._check_first(label, secret.upper().translate(_MISREAD), code.strip())
            return
        place = next((one for one in self._places if os.access(one, os.R_OK)), None)
        if place is None:
            raise AccessError(
                "access.no_secret",
                "This box was never given a secret.",
                hint="Make one at its console: `poleside claim secret`.",
            )
        verifier = place.read_text("ascii")
        is_known = is_right(secret.upper().translate(_MISREAD), verifier)
        is_there = self._is_there(code.strip()) or self._is_switched_on(is_new=False)
        if not (is_known and is_there):
            raise _wrong()
        self._use_up()

    def _label_secret(self) -> str:
        """Return the label's secret as long as the image tells it: of a box never claimed."""
        if self._image_run is None or (self._data_dir / "keys" / LABEL_OVER).exists():
            return ""
        try:
            told = (self._image_run / LABEL_TOLD).read_bytes()
            return msgspec.json.decode(told, type=_Label).secret
        except (OSError, msgspec.MsgspecError):
            return ""

    def _is_switched_on(self, *, is_new: bool) -> bool:
        """Whether somebody switched it on just now; a button, where there is one, says more."""
        if self._has_button or self._clock.monotonic_s() > SWITCHED_ON_S:
            return False
        if is_new or self._image_run is None:
            return is_new
        try:
            told = (self._image_run / BOOT_TOLD).read_bytes()
            return msgspec.json.decode(told, type=_Boot).is_visited
        except (OSError, msgspec.MsgspecError):
            return False

    def _check_first(self, label: str, secret: str, code: str) -> None:
        is_there = self._is_switched_on(is_new=True) or self._is_there(code)
        if not (hmac.compare_digest(label.encode(), secret.encode()) and is_there):
            raise _wrong()
        _keep(verifier_of(secret).encode(), self._data_dir, self._book)
        self._use_up()

    def _use_up(self) -> None:
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


def _wrong() -> AccessError:
    return AccessError(
        "access.claim",
        "The secret or the proof of being there is wrong.",
        hint="Press the claim button, read a new code at the console, or switch a new box on anew.",
    )


def _secret_file(data_dir: Path) -> Path:
    return data_dir / "keys" / LABEL_FILE


def _keep(verifier: bytes, data_dir: Path, book: Path | None) -> None:
    _write(_secret_file(data_dir), verifier)
    if book is not None and book.is_dir():
        _write(book / LABEL_FILE, verifier)
    _write(data_dir / "keys" / LABEL_OVER, b"")


def _write(path: Path, content: bytes) -> None:
    """Write it for the agent alone, also when root is at the console."""
    folder = path.parent
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
        _give(folder)
    write_whole(path, content, 0o600)
    _give(path)


def _give(path: Path) -> None:
    """Make it belong to whom the folder around it does."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
