"""The loudspeaker of a simulated camera: what comes over ONVIF's audio back-channel, counted.

It keeps how long and how loud it was, never what was said.
"""

BACK_CHANNEL = "www.onvif.org/ver20/backchannel"
_SILENCE = frozenset({0xFF, 0x7F})  # G.711 mu-law: plus and minus nothing
_HZ = 8_000


class Loudspeaker:
    """G.711 mu-law (RFC 3551 section 4.5.14), as ONVIF's streaming specification has it."""

    sdp = ("m=audio 0 RTP/AVP 0", "a=control:trackID=2", "a=rtpmap:0 PCMU/8000", "a=sendonly")

    def __init__(self) -> None:
        self.heard_s = self.loud_s = 0.0

    def hear(self, payload: bytes) -> None:
        """Take a packet's sound."""
        self.heard_s += len(payload) / _HZ
        self.loud_s += sum(one not in _SILENCE for one in payload) / _HZ
