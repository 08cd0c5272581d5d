"""The simulated camera packs RTP as the box does when it pushes: one packetiser for both."""

from agent.push.rtp import (
    CLOCK_HZ,
    MAX_PAYLOAD_BYTES,
    PAYLOAD_TYPE,
    interleave,
    packetise,
    sender_report,
    sound_packet,
)

__all__ = [
    "CLOCK_HZ",
    "MAX_PAYLOAD_BYTES",
    "PAYLOAD_TYPE",
    "interleave",
    "packetise",
    "sender_report",
    "sound_packet",
]
