"""A box key inside a TPM 2.0: made there, sealed to it, never to be read out.

Works through Debian's `tpm2-tools` (no binding has wheels for all our machines); a signature is one
short process a minute. The key lies as an encrypted blob in `keys/`, worthless without this TPM.
Which TPM: `TPM2TOOLS_TCTI`, as the tools have it, else the kernel's resource manager.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from agent.core.errors import StorageError
from agent.evidence.box_key import PublicKey, plain_signature, public_of

DEVICE = Path("/dev/tpmrm0")
TIMEOUT_S = 10.0
_TOOLS = ("tpm2_createprimary", "tpm2_create", "tpm2_load", "tpm2_sign", "tpm2_flushcontext")
_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign"


class TpmBlob(Struct, frozen=True, kw_only=True):
    """What lies in `keys/`: the key as the TPM encrypted it, and its public half."""

    jwk: PublicKey
    public: bytes
    private: bytes
    tcti: str


def present_tcti() -> str | None:
    """Return how to reach this machine's TPM; None when it or the tools are not there."""
    if any(shutil.which(tool) is None for tool in _TOOLS):
        return None
    told = os.environ.get("TPM2TOOLS_TCTI", "")
    if told:
        return told
    return f"device:{DEVICE}" if os.access(DEVICE, os.R_OK | os.W_OK) else None


def make_blob(tcti: str) -> TpmBlob:
    """Make a key in the TPM. Raises `StorageError` evidence.tpm."""
    with tempfile.TemporaryDirectory(prefix="poleside-tpm-") as name, _turn():
        folder = Path(name)
        _primary(tcti, folder)
        _do(
            tcti,
            folder,
            *("tpm2_create", "-C", "primary.ctx", "-G", "ecc256:ecdsa-sha256", "-g", "sha256"),
            *("-a", _ATTRIBUTES, "-u", "key.pub", "-r", "key.priv", "-f", "pem", "-o", "key.pem"),
        )
        try:
            loaded = serialization.load_pem_public_key((folder / "key.pem").read_bytes())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _broken(str(error)) from error
        if not isinstance(loaded, ec.EllipticCurvePublicKey):
            raise _broken("it made another kind of key")
        return TpmBlob(
            jwk=public_of(loaded),
            public=(folder / "key.pub").read_bytes(),
            private=(folder / "key.priv").read_bytes(),
            tcti=tcti,
        )


class TpmKey:
    """Signs with a key that only this TPM can use."""

    kind = "tpm2"

    def __init__(self, blob: TpmBlob) -> None:
        self.public, self._blob = blob.jwk, blob
        self._folder = Path(tempfile.mkdtemp(prefix="poleside-tpm-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._is_loaded = False

    def sign(self, message: bytes) -> bytes:
        """Return the ES256 signature. Raises `StorageError` evidence.tpm."""
        folder = self._folder
        (folder / "message").write_bytes(message)
        with _turn():
            try:
                if not self._is_loaded:
                    self._load(folder)
                self._sign(folder)
            except StorageError:  # the TPM was reset since: a saved context is void
                self._load(folder)
                self._sign(folder)
        signature = plain_signature((folder / "signature").read_bytes())
        if not self.public.verifies(signature, message):
            raise _broken("its signature does not fit its key")
        return signature

    def _load(self, folder: Path) -> None:
        (folder / "key.pub").write_bytes(self._blob.public)
        (folder / "key.priv").write_bytes(self._blob.private)
        tcti = self._blob.tcti
        _primary(tcti, folder)
        _do(
            tcti,
            folder,
            *("tpm2_load", "-C", "primary.ctx", "-u", "key.pub", "-r", "key.priv"),
            *("-c", "key.ctx"),
        )
        self._is_loaded = True

    def _sign(self, folder: Path) -> None:
        _do(
            self._blob.tcti,
            folder,
            *("tpm2_sign", "-c", "key.ctx", "-g", "sha256", "-s", "ecdsa", "-f", "plain"),
            *("-o", "signature", "message"),
        )


def _primary(tcti: str, folder: Path) -> None:
    """The parent follows from the TPM's own seed, so nothing of it need be kept."""
    (folder / "primary.ctx").unlink(missing_ok=True)
    _do(tcti, folder, *("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "primary.ctx"))


@contextmanager
def _turn() -> Iterator[None]:
    """One user at a time: not every TPM has a resource manager before it."""
    with (Path(tempfile.gettempdir()) / f"poleside-tpm-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _do(tcti: str, folder: Path, *words: str) -> None:
    """Run a tool. Without a resource manager the TPM's few places are then freed by hand."""
    try:
        _run(tcti, folder, *words)
    finally:
        if not tcti.startswith(("device:/dev/tpmrm", "tabrmd")):
            _run(tcti, folder, "tpm2_flushcontext", "-t")


def _run(tcti: str, folder: Path, *words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - names of our own
            words,
            cwd=folder,
            env={**os.environ, "TPM2TOOLS_TCTI": tcti},
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _broken(f"{words[0]}: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _broken(f"{words[0]}: {said[-1] if said else done.returncode}")


def _broken(why: str) -> StorageError:
    return StorageError(
        "evidence.tpm",
        f"The TPM that holds the box's key can't be used: {why}.",
        hint="Is this the board the key was made on? Its user must be in group `tss`.",
    )
