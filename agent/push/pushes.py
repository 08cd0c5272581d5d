"""The pushes of one camera's worker: started and stopped by the core, ended by themselves.

Each has a thread of its own and a bounded queue; the stream's thread never waits for it. It ends
on order, at its deadline, and when the core is gone, whichever comes first.
"""

import threading
from collections.abc import Callable, Iterator, Mapping

from msgspec import structs

from agent.core import log
from agent.core.clock import Clock, wait_s
from agent.core.retry import Backoff
from agent.messages.push import PushState, StartPush
from agent.push.live_tap import Copied, Follower, LiveTap, Run
from agent.push.publisher import Following, Publisher, publish
from agent.push.recorded_tap import Lacking, Recorded, RecordedTap
from agent.push.relay_line import PushError, push_error

LOOK_S = 0.1
_TELL_EVERY_S = 1.0
_BURST_S = 1.0  # in ten seconds a tenth above the limit; what is larger is paid for afterwards
_END_WITHIN_S = 2.0
_PROVEN_S = 2.0  # a connection that held so long was a good one: the next wait is short again

Tell = Callable[[PushState], None]


class Pushes:
    """`taps` are by stream name. `tell` and `is_core_there` are called from the pushes' threads."""

    def __init__(
        self,
        taps: Mapping[str, LiveTap],
        tell: Tell,
        is_core_there: Callable[[], bool],
        clock: Clock,
        jpeg: Callable[[int], bytes | None] = lambda _: None,
        recorded: Callable[[StartPush], Iterator[Recorded | Lacking]] = lambda _: iter(()),
    ) -> None:
        self._taps, self._tell, self._clock, self._jpeg = taps, tell, clock, jpeg
        self._is_core_there, self._recorded = is_core_there, recorded
        self._pushes: dict[str, Push] = {}
        self._lock = threading.Lock()

    def start(self, order: StartPush) -> None:
        """Begin a push, or change the one there is."""
        with self._lock:
            push = self._pushes.get(order.push_id)
            if push is not None and push.renew(order):
                return
            push = self._new(order)
            self._pushes[order.push_id] = push
            push.start()

    def _new(self, order: StartPush) -> "Push":
        rest = (self._tell, self._is_core_there, self._clock)
        if order.since is not None:
            return PlaybackPush(order, RecordedTap(self._recorded(order), self._clock), *rest)
        if not order.is_ladder:
            return Push(order, self._taps[order.stream], *rest)
        from agent.push.vehicle_push import VehiclePush  # noqa: PLC0415 - it is made of Push

        return VehiclePush(order, self._taps, self._jpeg, *rest)

    @property
    def want_sub(self) -> bool:
        """Whether one that goes on shows the second stream, or may come to."""
        with self._lock:
            return any(push.wants_sub and push.is_alive() for push in self._pushes.values())

    def stop(self, push_id: str) -> None:
        """End a push; it tells when it has."""
        with self._lock:
            push = self._pushes.pop(push_id, None)
        if push is None or not push.stop():
            self._tell(PushState(push_id=push_id, ended=True))

    def close(self) -> None:
        """End all."""
        with self._lock:
            pushes = list(self._pushes.values())
            self._pushes.clear()
        for push in pushes:
            push.stop()
        for push in pushes:
            push.join(_END_WITHIN_S)


class Push(threading.Thread):
    """One stream to one relay, again and again while it may."""

    def __init__(
        self,
        order: StartPush,
        tap: LiveTap,
        tell: Tell,
        is_core_there: Callable[[], bool],
        clock: Clock,
    ) -> None:
        super().__init__(name="push", daemon=True)
        self._order, self._tap, self._tell_core, self._clock = order, tap, tell, clock
        self._is_core_there = is_core_there
        self._stop_ordered = threading.Event()
        self._renewing, self._has_ended = threading.Lock(), False
        self._backoff = Backoff(0.2, 5.0)
        self._bytes = self._packets = self._stalls = self._connects = 0
        self._code, self._next_tell_s = "", 0.0
        self._level_bytes, self._level_s, self._is_shedding = 0.0, clock.monotonic_s(), False
        self._burst_s = _BURST_S
        self._log = log.get("push")

    @property
    def wants_sub(self) -> bool:
        """Whether it is of the live second stream, always or at times."""
        return self._order.stream == "sub" and self._order.since is None

    def renew(self, order: StartPush) -> bool:
        """Take over end, limit and token; False when the push has ended."""
        with self._renewing:
            if self._has_ended or self._stop_ordered.is_set():
                return False
            self._order = order
            return True

    def stop(self) -> bool:
        """End it; False when it has ended already."""
        with self._renewing:
            self._stop_ordered.set()
            return not self._has_ended

    def run(self) -> None:
        try:
            while self._is_on():
                try:
                    run = self._present()
                    if run is not None:
                        self._one_connection(run)
                        continue
                except PushError as error:
                    if error.code != "push.over":
                        self._failed(error)
                except Exception as error:  # noqa: BLE001  odd answers or video end no push
                    self._log.error("push broke", push=self._order.push_id, exc_info=error)
                    self._failed(push_error("broke", type(error).__name__))
                else:  # the camera is away
                    self._tell_now_and_then()
                    wait_s(self._stop_ordered, LOOK_S)
        finally:
            with self._renewing:
                self._has_ended = True
            self._tell_core(self._state(ended=True))

    def _present(self) -> Run | None:
        return self._tap.run

    def _is_on(self) -> bool:
        if self._stop_ordered.is_set() or self._clock.monotonic_s() >= self._order.until_mono_s:
            return False
        if not self._is_core_there():
            self._stop_ordered.set()  # the next core orders it anew
        return not self._stop_ordered.is_set()

    def _one_connection(self, run: Run) -> None:
        self._connects += 1
        publisher = self._publisher(run)
        follower = self._join(run)
        if follower is None:
            publisher.end()
            return
        try:
            self._follow(run, follower, publisher)
        except BaseException:
            publisher.cut()
            raise
        else:
            publisher.end()
        finally:
            self._leave(follower)
            self._stalls += publisher.stalls + follower.stalls

    def _publisher(self, run: Run) -> Publisher:
        return publish(self._order, run.coding, self._is_on)

    def _join(self, run: Run) -> Following | None:
        return self._tap.join(run)

    def _leave(self, follower: Following) -> None:
        if isinstance(follower, Follower):
            self._tap.leave(follower)

    def _wants(self, packet: Copied) -> bool:
        return self._fits(packet)

    def _must_change(self, _follower: Following) -> bool:
        """Say whether this connection should make place for another one."""
        return False

    def _follow(self, run: Run, follower: Following, publisher: Publisher) -> None:
        """Send packets until the run or the push is over."""
        self._log.info("push begins", push=self._order.push_id)
        proven_s = self._clock.monotonic_s() + _PROVEN_S
        while self._is_on() and not self._must_change(follower):
            packet = follower.get(LOOK_S)
            self._tell_now_and_then()
            if packet is None:
                if follower.run_is_over:
                    return
                continue
            if not self._wants(packet):
                continue
            self._bytes += publisher.picture(run, packet)
            self._packets += 1
            self._code = ""
            if self._clock.monotonic_s() > proven_s:
                self._backoff.reset()

    def _fits(self, packet: Copied) -> bool:
        """Keep to the limit: what is above it goes, up to a key frame that fits again.

        A picture that alone is larger than the burst goes when all before it is paid for.
        """
        limit_kbps = self._order.max_kbps
        if not limit_kbps:
            return True
        now_s, rate = self._clock.monotonic_s(), limit_kbps * 125.0
        self._level_bytes = max(0.0, self._level_bytes - (now_s - self._level_s) * rate)
        self._level_s = now_s
        has_room = self._level_bytes + len(packet.data) <= rate * self._burst_s
        fits = has_room or self._level_bytes <= 0
        if not fits or (self._is_shedding and not packet.is_key):
            self._is_shedding = True
            return False
        self._is_shedding = False
        self._level_bytes += len(packet.data)
        return True

    def _failed(self, error: PushError) -> None:
        if error.code != self._code:
            self._log.warning("push failed", push=self._order.push_id, code=error.code)
        self._code = error.code
        self._stalls += error.code == "push.stalled"
        until_s = self._clock.monotonic_s() + self._backoff.next_s()
        while self._is_on() and self._clock.monotonic_s() < until_s:
            self._tell_now_and_then()
            wait_s(self._stop_ordered, LOOK_S)

    def _tell_now_and_then(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_tell_s:
            self._next_tell_s = now_s + _TELL_EVERY_S
            self._tell_core(self._state())

    def _state(self, *, ended: bool = False) -> PushState:
        return PushState(
            push_id=self._order.push_id,
            bytes_total=self._bytes,
            packets_total=self._packets,
            stalls_total=self._stalls,
            connects_total=self._connects,
            code=self._code,
            ended=ended,
        )


class PlaybackPush(Push):
    """Recorded video to one relay, once, at the pace at which it was recorded."""

    def __init__(
        self,
        order: StartPush,
        recorded: RecordedTap,
        tell: Tell,
        is_core_there: Callable[[], bool],
        clock: Clock,
    ) -> None:
        super().__init__(order, LiveTap(), tell, is_core_there, clock)
        self._recorded = recorded

    def _present(self) -> Run | None:
        return self._recorded.run

    def _is_on(self) -> bool:
        return not self._recorded.is_over and super()._is_on()

    def _join(self, run: Run) -> Following:
        return self._recorded.join(run)

    def _state(self, *, ended: bool = False) -> PushState:
        state = super()._state(ended=ended)
        return structs.replace(
            state,
            code=self._recorded.code or state.code,
            lacks=self._recorded.lacks,
            broke_off=bool(self._recorded.code),
        )
