"""A voice to a camera's loudspeaker: the audio back-channel of ONVIF's streaming specification.

ONVIF Streaming Specification, section 5.3: DESCRIBE, SETUP and PLAY with `Require`, and RTP from us
on the track that the camera says is `sendonly`. G.711 in packets of 20 ms, over TCP or TLS.
"""

import re
import secrets
from collections.abc import Callable
from typing import Literal
from urllib.parse import urljoin

from agent.core.errors import PolesideError
from agent.push.relay_line import PushError, RelayLine, push_error
from agent.push.rtp import sound_packet
from agent.push.rtsp_dialog import Admit, Answer, RtspDialog
from agent.push.rtsp_login import Login

Law = Literal["mulaw", "alaw"]

_REQUIRE = {"Require": "www.onvif.org/ver20/backchannel"}
_TRANSPORT = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
_LAWS: dict[str, tuple[int, Law]] = {"PCMU/8000": (0, "mulaw"), "PCMA/8000": (8, "alaw")}
_MAPPED = re.compile(r"a=rtpmap:(\d+) ([A-Za-z0-9]+/\d+)")


class LoginRefusedError(PushError):
    """The camera refuses the login."""


class BackChannel:
    """One connection. Used by one thread; `may_go_on` is asked at least every 0.2 s of sending."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        may_go_on: Callable[[], bool],
        ca: str = "",
        admit: Admit = lambda *_: None,
    ) -> None:
        """Connect and begin. Raises `PushError` as `RelayLine`, and those of `_begin`.

        `admit` raises when who asks for the login shall not have it.
        """
        self._url = url
        self._line = RelayLine(url, may_go_on, ca)
        self._dialog = RtspDialog(self._line, Login(password, username), admit)
        self._seq, self._time, self._ssrc = 0, secrets.randbits(31), secrets.randbits(32)
        try:
            self._payload_type, self.law = self._begin()
        except (OSError, ValueError):
            self._line.cut()
            raise push_error("not_a_camera", "The camera does not answer.") from None
        except PolesideError:
            self._line.cut()
            raise
        self._line.begun()

    def send(self, sound: bytes) -> None:
        """Send 20 ms of G.711. Raises `PushError` push.stalled, push.lost, push.over."""
        packet = sound_packet(0, self._payload_type, self._seq, self._time, self._ssrc, sound)
        self._line.send(packet)
        self._seq += 1
        self._time += len(sound)

    def end(self) -> None:
        """Say good-bye and close."""
        self._line.end(lambda: self._dialog.say("TEARDOWN", self._url))

    def _begin(self) -> tuple[int, Law]:
        """Raises `PushError` push.refused, no_speaker; `LoginRefusedError`."""
        told = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        base = told.headers.get("content-base", self._url.rstrip("/") + "/")
        payload_type, law, control = _track(told.body)
        self._ask("SETUP", urljoin(base, control), _TRANSPORT)
        self._ask("PLAY", self._url, {"Range": "npt=0.000-"})
        return payload_type, law

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> Answer:
        answer = self._dialog.ask(method, url, headers | _REQUIRE)
        if answer.status == 551:  # RFC 2326: option not supported
            raise _no_speaker()
        if answer.status == 401:
            raise LoginRefusedError("push.refused", "The camera refuses user name and password.")
        if answer.status != 200:
            raise push_error(
                "refused", f"The camera refuses to be spoken through ({answer.status})."
            )
        return answer


def _track(sdp: str) -> tuple[int, Law, str]:
    """Return payload type, coding and control address of the track that we send."""
    for section in re.split(r"(?m)^(?=m=)", sdp)[1:]:
        lines = section.split()
        if not section.startswith("m=audio") or "a=sendonly" not in lines:
            continue
        kinds = {int(number): name for number, name in _MAPPED.findall(section)}
        kinds |= {0: "PCMU/8000", 8: "PCMA/8000"}
        offered = [int(one) for one in section.split("\n")[0].split()[3:] if one.isdecimal()]
        control = next((x[10:] for x in lines if x.startswith("a=control:")), "")
        for number in offered:
            if kinds.get(number, "").upper() in _LAWS:
                return number, _LAWS[kinds[number].upper()][1], control
    raise _no_speaker()


def _no_speaker() -> PushError:
    return push_error("no_speaker", "The camera has no loudspeaker that it lets others use.")
