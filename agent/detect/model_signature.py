"""Who vouches for a model: the shipped one is pinned by hash, any other is signed.

`manifest.jws` beside `manifest.json` is a JWS in compact form (RFC 7515; Ed25519 or ES256) whose
payload is the manifest, byte for byte; the manifest holds the model file's hash. The keys that
count are in a JWKS file that the settings name.
"""

from pathlib import Path

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from agent.core.errors import DetectorError
from agent.detect.manifest import MANIFEST_FILE, SHIPPED_MODEL, SHIPPED_SHA256, Manifest

SIGNATURE_FILE = "manifest.jws"
_ALGORITHMS = ["Ed25519", "EdDSA", "ES256"]


def check_signature(folder: Path, manifest: Manifest, keys_file: Path | None) -> None:
    """Raise `DetectorError` unless somebody the settings trust vouches for this model."""
    if folder.resolve() == SHIPPED_MODEL.resolve():
        if tuple(form.sha256 for form in manifest.forms) != SHIPPED_SHA256:
            raise _refused("detector.model_hash", "The shipped manifest names another model file.")
        return
    if keys_file is None:
        raise _refused("detector.no_keys", f"No key says who may sign the model in {folder.name}.")
    try:
        raw: KeySetSerialization = msgspec.json.decode(keys_file.read_bytes())
        signed = jws.deserialize_compact(
            (folder / SIGNATURE_FILE).read_bytes().strip(),
            KeySet.import_key_set(raw),
            algorithms=_ALGORITHMS,
        )
        content = (folder / MANIFEST_FILE).read_bytes()
    except (OSError, JoseError, ValueError, TypeError) as error:
        raise _refused(
            "detector.model_signature", f"The model in {folder.name} is not signed: {error}."
        ) from error
    if signed.payload != content:
        raise _refused(
            "detector.model_signature", f"The signature in {folder.name} is of another manifest."
        )


def _refused(code: str, message: str) -> DetectorError:
    return DetectorError(
        code,
        message,
        hint="Install the model with its manifest.jws, and set `detector.keys_file`.",
    )
