"""Who signs updates: two root keys in the image, and one signer below the first of them.

The city's own lie in a folder: `root-1.pem`, `root-2.pem` (certificates; the second's key is in a
safe, for the day the first is lost), `signer.pem` and `signer.key`. Without them keys for trials
are made, once, so that a second build is the same.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7300")
_SIGNER = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature")
_ROOT = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")


@dataclass(frozen=True, slots=True)
class Signing:
    """`keyring` is what boxes trust; the other two sign."""

    keyring: Path
    certificate: Path
    key: Path


def signing(folder: Path | None, trial_folder: Path) -> Signing:
    """Return the city's keys, or those for trials, made when there are none yet."""
    found = folder or trial_folder
    if folder is None and not (found / "signer.pem").exists():
        make_trial_keys(found)
    keyring = found / "keyring.pem"
    roots = [(found / name).read_text() for name in ("root-1.pem", "root-2.pem")]
    keyring.write_text("".join(roots))
    return Signing(keyring, found / "signer.pem", found / "signer.key")


def make_trial_keys(folder: Path) -> None:
    """Make two root keys, and a signer for each (`signer`, and `signer-2` below the second)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, signer in ((2, "signer-2"), (1, "signer")):
        root = f"root-{number}"
        _certificate(folder, root, _ROOT)
        _certificate(folder, signer, _SIGNER, below=root)


def _certificate(folder: Path, name: str, extensions: tuple[str, ...], below: str = "") -> None:
    command = ["openssl", "req", "-x509", *_EC, "-subj", f"/CN=trial {name}"]
    command += ["-keyout", f"{folder / name}.key", "-out", f"{folder / name}.pem"]
    for extension in extensions:
        command += ["-addext", extension]
    if below:
        command += ["-CA", f"{folder / below}.pem", "-CAkey", f"{folder / below}.key"]
    subprocess.run(command, check=True, capture_output=True)
