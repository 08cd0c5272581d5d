"""The secret on a box's label, until the box is claimed: from the stick, else made here and shown.

A maker prints the label first and puts its secret as `label.txt` on the stick of the first boot; a
box that was given none makes one and shows it on its console at every boot, so that a label can be
printed or the box claimed at once. It is kept in clear only until the first boot after the claim:
the agent, which takes it from /run, keeps nothing but a check of it.
"""

import errno
import secrets
import shutil
from pathlib import Path

from poleside_image import small_files

KEPT, TOLD, SHOWN = "label.json", "label.json", "label.txt"
SECRET_FILE, OVER_FILE = "claim-secret", "label-over"  # the agent's: agent.local.access.claim
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # as the agent's: nothing to be misread
NO_STICK = (errno.ENODEV, errno.ENXIO, errno.ENOENT)  # an automount without its device: the first
_CHARS, _GROUP, _MOST_BYTES = 16, 4, 256


def find(stick: Path, kept_in: Path, keys: Path) -> tuple[str, str]:
    """Return the secret of an unclaimed box ("" for a claimed one), and what is wrong with a stick.

    One that `poleside claim secret` made at the console is known to nobody here: "".
    """
    kept = kept_in / KEPT
    if (keys / OVER_FILE).exists():
        kept.unlink(missing_ok=True)
        return "", ""
    given, trouble = _from_stick(stick)
    known = str(small_files.read(kept).get("secret", ""))
    secret = given or (known if _is_secret(known) else "")
    if not secret and (keys / SECRET_FILE).exists():
        return "", trouble
    secret = secret or "".join(secrets.choice(ALPHABET) for _ in range(_CHARS))
    if secret != known:
        try:
            small_files.write(kept, {"secret": secret}, 0o600)
        except OSError as error:  # shown all the same; the next boot makes another
            trouble = trouble or f"the label's secret can't be kept: {error.strerror}"
    return secret, trouble


def tell(
    run: Path, secret: str, name: str, group: str | int, *, is_at_cameras: bool = False
) -> None:
    """Leave it for the agent, and as text for the console; without a secret take both away.

    `is_at_cameras`: the page is at the cameras' socket, the only one there is.
    """
    run.mkdir(mode=0o755, parents=True, exist_ok=True)
    for gone in (run / TOLD, run / SHOWN):
        gone.unlink(missing_ok=True)
    if not secret:
        return
    small_files.write(run / TOLD, {"secret": secret}, 0o640)
    shutil.chown(run / TOLD, group=group)
    shown = "-".join(secret[at : at + _GROUP] for at in range(0, _CHARS, _GROUP))
    shown_file = run / SHOWN
    shown_file.touch(mode=0o600)
    places = [("10.77.1.1", "the service port"), ("10.77.0.1", "the cameras' switch")]
    here, there = reversed(places) if is_at_cameras else places
    shown_file.write_text(
        f"\n{name} is not claimed yet. Its label:\n"
        f"    https://{here[0]}:8470/claim#{shown}\n"
        f"Open it within half an hour of switching the box on, from a notebook at {here[1]};\n"
        f"at {there[1]} it is https://{there[0]}:8470/claim#...\n\n"
    )


def _from_stick(stick: Path) -> tuple[str, str]:
    source = stick / "label.txt"
    try:
        if source.is_symlink() or not source.is_file():
            return "", ""
        with source.open() as file:
            text = file.read(_MOST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno in NO_STICK:
            return "", ""
        return "", "the label on the stick can't be read"
    secret = text.strip().rpartition("#")[2].upper().replace("-", "").replace(" ", "")
    return (secret, "") if _is_secret(secret) else ("", "the label on the stick is no label")


def _is_secret(text: str) -> bool:
    return len(text) == _CHARS and set(text) <= set(ALPHABET)
