"""An RTSP client that publishes (RFC 2326, ANNOUNCE and RECORD) one video track over TCP or TLS."""

import base64
import secrets
from collections.abc import Callable

from agent.push.live_tap import Copied, Run
from agent.push.nal_units import Coding
from agent.push.relay_line import PushError, RelayLine, push_error
from agent.push.rtp import CLOCK_HZ, PAYLOAD_TYPE, interleave, packetise
from agent.push.rtp_jpeg import JpegTrack
from agent.push.rtsp_dialog import RtspDialog
from agent.push.rtsp_login import Login

_TRANSPORT = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}


class RtspPublisher:
    """One connection. Used by one thread; `may_go_on` is asked at least every 0.2 s of sending."""

    def __init__(
        self,
        url: str,
        token: str,
        coding: Coding | JpegTrack,
        may_go_on: Callable[[], bool],
        ca: str = "",
        send_bytes: int = 0,
    ) -> None:
        """Connect and begin; see `RelayLine`.

        Raises `PushError` push.unreachable, untrusted, refused or not_a_relay.
        """
        self._url = url
        self._line = RelayLine(url, may_go_on, ca, send_bytes)
        self._dialog = RtspDialog(self._line, Login(token))
        self._ssrc, self._offset = secrets.randbits(32), secrets.randbits(32)
        self._packet_seq = secrets.randbits(16)
        try:
            self._begin(coding)
        except (OSError, ValueError) as error:
            self.cut()
            raise push_error(
                "not_a_relay", f"The relay does not answer: {type(error).__name__}."
            ) from None
        except PushError:
            self.cut()
            raise
        self._line.begun()

    @property
    def stalls(self) -> int:
        """How often the relay took nothing for a second."""
        return self._line.stalls

    def picture(self, run: Run, packet: Copied) -> int:
        """Send one picture; return its bytes on the line. Raises as `send` does."""
        units = run.coding.units(packet.data)
        if packet.is_key:
            units = run.coding.with_sets(units)
        payloads = [part for unit in units for part in packetise(unit, run.coding.codec)]
        data = interleave(
            payloads,
            channel=0,
            first_seq=self._packet_seq,
            timestamp_90k=self._offset + int(packet.pts * run.tick_s * CLOCK_HZ),
            ssrc=self._ssrc,
        )
        self.send(data)
        self._packet_seq += len(payloads)
        return len(data)

    def send(self, data: bytes) -> None:
        """Send interleaved packets. Raises `PushError` push.stalled, push.lost, push.over."""
        self._line.send(data)  # nobody needs what the relay says (reports, answers)

    def end(self) -> None:
        """Say good-bye and close; nothing that waits to be sent goes out later."""
        self._line.end(lambda: self._dialog.say("TEARDOWN", self._url))

    def cut(self) -> None:
        """Close at once; what the system has not sent yet is thrown away."""
        self._line.cut()

    def _begin(self, coding: Coding | JpegTrack) -> None:
        told = {"Content-Type": "application/sdp"}
        status = self._dialog.ask("ANNOUNCE", self._url, told, _sdp(coding)).status
        if status == 200:
            status = self._dialog.ask("SETUP", f"{self._url}/trackID=0", _TRANSPORT).status
        if status == 200:
            status = self._dialog.ask("RECORD", self._url, {"Range": "npt=0.000-"}).status
        if status != 200:
            raise push_error("refused", f"The relay refuses the push ({status}).")


def _sdp(coding: Coding | JpegTrack) -> str:
    head = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=Poleside", "c=IN IP4 0.0.0.0", "t=0 0"]
    track = coding.sdp if isinstance(coding, JpegTrack) else _track(coding)
    return "\r\n".join([*head, *track, "a=control:trackID=0", ""])


def _track(coding: Coding) -> list[str]:
    """Describe the track (RFC 6184 section 8.1, RFC 7798 section 7.1)."""
    encoded = [base64.b64encode(unit).decode() for unit in coding.sets]
    if coding.codec == "h264":
        name, fmtp = "H264", "packetization-mode=1"
        if encoded:
            profile = coding.sets[0][1:4].hex().upper()
            fmtp += f";profile-level-id={profile};sprop-parameter-sets={','.join(encoded)}"
    else:
        kinds = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
        name = "H265"
        fmtp = ";".join(
            f"{kinds[(unit[0] >> 1) & 63]}={text}"
            for unit, text in zip(coding.sets, encoded, strict=True)
        )
    return [
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {name}/{CLOCK_HZ}",
        *([f"a=fmtp:{PAYLOAD_TYPE} {fmtp}"] if fmtp else []),
    ]
