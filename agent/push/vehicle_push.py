"""The push for receivers on a thin line (`vehicle-lte`): as much as the line carries, never more.

Each rung is a connection of its own, since each is another description; what the old one had not
sent is thrown away, so what comes is always of now.
"""

from collections.abc import Callable, Mapping

from agent.core.clock import Clock, wait_s
from agent.messages.push import StartPush
from agent.push.ladder import Ladder, Rung
from agent.push.live_tap import Copied, LiveTap, Run
from agent.push.publisher import Following, Publisher, is_rtmp, publish
from agent.push.pushes import Push, Tell
from agent.push.relay_line import PushError
from agent.push.rtp_jpeg import JpegTrack
from agent.push.rtsp_publisher import RtspPublisher

BLOCKED_S, LAG_S, LITTLE_LAG_S = 0.8, 1.0, 0.4
JPEG_EVERY_S = 1.0
_SEND_BYTES = 16 * 1024  # what waits in the system is late already
_JPEG_SHARE, _LEAST_JPEG_BYTES = 0.8, 3_000
_BURST_S = 0.5

Jpeg = Callable[[int], bytes | None]  # of at most so many bytes


class VehiclePush(Push):
    """`taps` has main and sub, of which one may be away; `jpeg` makes a small picture of now."""

    def __init__(
        self,
        order: StartPush,
        taps: Mapping[str, LiveTap],
        jpeg: Jpeg,
        tell: Tell,
        is_core_there: Callable[[], bool],
        clock: Clock,
    ) -> None:
        super().__init__(order, taps["sub"], tell, is_core_there, clock)
        self._taps, self._jpeg = taps, jpeg
        lowest = Rung.KEYS if is_rtmp(order.url) else Rung.JPEG  # FLV carries no JPEG
        self._ladder = Ladder(clock.monotonic_s(), order.max_kbps, lowest)
        self._rung = Rung.MAIN
        self._sending_since_s: float | None = None
        self._burst_s = _BURST_S

    def _present(self) -> Run | None:
        return self._taps["sub"].run or self._taps["main"].run

    def _one_connection(self, run: Run) -> None:
        self._rung = self._ladder.rung(self._kbps())
        if self._rung is Rung.JPEG:
            self._stills()
            return
        wanted, other = ("main", "sub") if self._rung is Rung.MAIN else ("sub", "main")
        self._tap = self._taps[wanted if self._taps[wanted].run is not None else other]
        run = self._tap.run or run
        self._log.info("rung", push=self._order.push_id, rung=self._rung.name)
        super()._one_connection(run)

    def _publisher(self, run: Run) -> Publisher:
        return publish(self._order, run.coding, self._may_send, _SEND_BYTES)

    def _join(self, run: Run) -> Following | None:
        return self._tap.join(run, lean=True)

    def _wants(self, packet: Copied) -> bool:
        self._sending_since_s = self._clock.monotonic_s()
        if self._rung is Rung.KEYS and not packet.is_key:
            return False
        return self._fits(packet)

    def _must_change(self, follower: Following) -> bool:
        """Look how far behind it is, between two packets."""
        now_s, behind_s = self._clock.monotonic_s(), follower.behind_s()
        self._sending_since_s = None
        if behind_s > LAG_S:
            self._ladder.stalled(now_s)
            return True
        if behind_s > LITTLE_LAG_S:
            self._ladder.lagged(now_s)
        return self._ladder.climbs(now_s, self._kbps())

    def _may_send(self) -> bool:
        now_s = self._clock.monotonic_s()
        since_s = self._sending_since_s
        if since_s is not None and now_s - since_s > BLOCKED_S and self._rung is not Rung.JPEG:
            self._ladder.stalled(now_s)
            self._stalls += 1
            return False
        return self._is_on()

    def _stills(self) -> None:
        """One JPEG a second, until the line is well again."""
        self._connects += 1
        track, order = JpegTrack(), self._order
        publisher = RtspPublisher(
            order.url, order.token, track, self._may_send, order.ca, _SEND_BYTES
        )
        most = int(order.max_kbps * 125 * _JPEG_SHARE) if order.max_kbps else 20_000
        try:
            while self._is_on():
                began_s = self._clock.monotonic_s()
                jpeg = self._jpeg(max(_LEAST_JPEG_BYTES, most))
                if jpeg is not None:
                    data = track.packets(jpeg, began_s)
                    publisher.send(data)
                    self._packets += 1
                    self._bytes += len(data)
                took_s = self._clock.monotonic_s() - began_s
                if took_s > LAG_S:
                    self._ladder.lagged(self._clock.monotonic_s())
                elif self._ladder.climbs(self._clock.monotonic_s(), self._kbps()):
                    break
                self._tell_now_and_then()
                wait_s(self._stop_ordered, max(0.0, JPEG_EVERY_S - took_s))
        except PushError:
            publisher.cut()
            raise
        else:
            publisher.end()
        finally:
            self._stalls += publisher.stalls

    def _kbps(self) -> dict[Rung, float]:
        main, sub = self._taps["main"], self._taps["sub"]
        rates = {Rung.JPEG: 0.0, Rung.KEYS: (main if sub.run is None else sub).key_kbps}
        if sub.run is not None:
            rates[Rung.SUB] = sub.kbps
        if main.run is not None:
            rates[Rung.MAIN] = main.kbps
        return rates
