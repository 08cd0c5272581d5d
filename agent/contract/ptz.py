"""Moving a camera by hand: one signed lease, then many small steps inside it.

A signature per joystick step would cost too much, so the lease agrees on a key: the order carries
the operator's fresh X25519 public key, the box answers with its own, and both derive the step key
(RFC 7748, RFC 5869). Who only listens at the broker does not learn it. A step is a JWS in compact
form with `alg` HS256 and the lease's id as `kid`; these are its claims.
"""

from typing import Annotated

from msgspec import Meta, Struct

from agent.contract.command_args import Speed

STEP_ALGORITHM = "HS256"
STEP_KEY_INFO = b"edge/1 ptz step"  # HKDF-SHA256: salt is the lease's id, 32 bytes come out
STEP_LASTS_S = 1.0  # without the next step the camera stops


class PtzStep(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Move with these speeds until the next step, a second at most; all zero is Stop.

    `seq` grows with each step of a lease; one that does not is a replay and is dropped.
    """

    seq: Annotated[int, Meta(ge=1)]
    pan: Speed = 0.0
    tilt: Speed = 0.0
    zoom: Speed = 0.0
