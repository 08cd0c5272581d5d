"""The switches that make a simulated camera misbehave, as real ones do. Changed while it runs."""

from msgspec import Struct


class Faults(Struct, forbid_unknown_fields=True):
    """All off at first. Readers look at it each time, so a change works at once.

    `stall`: connections stay open and nothing at all is sent. `rtcp_only`: sender reports go on,
    video stops. `hang_describe`: DESCRIBE is never answered. `refuse`: the port is closed to new
    connections. `disconnect`: drop every connection now (resets itself).
    """

    stall: bool = False
    rtcp_only: bool = False
    hang_describe: bool = False
    refuse: bool = False
    disconnect: bool = False
