"""What comes signed with a renewal: nothing but the center's own word changes whom a box trusts.

The keys that count afterwards must hold the one that signed, so a box never ends with keys that
its center does not have.
"""

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from agent.contract.commands import SIGNATURE_ALGORITHMS
from agent.contract.enrolment import Grant, SignedGrant
from agent.core.errors import EnrolError


def read_signed(token: str, nonce: str, keys: str) -> Grant:
    """Return the grant that was signed with one of `keys` (JWKS) in answer to `nonce`.

    Raises `EnrolError` enrol.signature.
    """
    try:
        signed = msgspec.json.decode(_payload(token, keys), type=SignedGrant)
        if signed.nonce != nonce:
            raise _unsigned("it answers another question")
        _payload(token, signed.grant.center_keys)
    except (JoseError, ValueError, KeyError, TypeError) as error:  # msgspec's are ValueErrors
        raise _unsigned(str(error)) from error
    return signed.grant


def _payload(token: str, keys: str) -> bytes:
    key_set = KeySet.import_key_set(msgspec.json.decode(keys))
    return jws.deserialize_compact(token, key_set, algorithms=SIGNATURE_ALGORITHMS).payload


def _unsigned(why: str) -> EnrolError:
    return EnrolError(
        "enrol.signature",
        f"What came with the certificate is not signed by this box's center: {why}.",
        hint="Sign with a key the box knows, and leave that key among the new ones.",
    )
