"""What the center has stored for good: `{"a":{"upto":12,"epoch":"7c1e"},"e":{…}}`, retained.

The broker's PUBACK only says that the broker has a message; this says that the center has it.
"""

from msgspec import Struct

from agent.contract.events import StreamName


class Ack(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All records of `epoch` up to and including `upto` are stored.

    `nak` is the first number the center misses although later ones have come. `id` is that of the
    record at `upto`: a box whose disk forgot records sees that it has used a number twice.
    """

    upto: int
    epoch: str
    nak: int | None = None
    id: str = ""


Acks = dict[StreamName, Ack]
