"""The gate to one camera's control side: the asyncio face that the core process uses.

Questions and moves go through one thread per camera, one after the other, so a dead camera delays
nobody else; a newer move takes the place of one still waiting. Stop has its own thread and
connection (`agent.cameras.ptz_stopper`). The backend is built at the first call, in the thread.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from agent.cameras.port import (
    MAX_MOVE_S,
    CameraBadResponse,
    CameraControl,
    CameraFailure,
    CameraUnreachable,
    DeviceFacts,
    Login,
    PtzPosition,
    is_refusal,
)
from agent.cameras.ptz_sectors import Sectors, forbidden
from agent.cameras.ptz_stopper import PtzStopper
from agent.cameras.streams import CameraStreams, choose
from agent.cameras.surprises import typed
from agent.core.clock import Clock, wait_s
from agent.core.errors import CameraError, CommandError, PolesideError
from agent.core.log import get

if TYPE_CHECKING:
    from agent.cameras.line import OnvifLine
    from agent.cameras.ptz_head import PtzHead

ANSWER_S = 20.0
_VERIFY_S = 3.0
_LOOKS = 6  # at each round of verifying a stop; motors need time to slow down
_LOOK_PAUSE_S = 0.1
_ROUNDS = 2
_ARRIVED_S = 30.0  # a head that goes somewhere is there by then
_BLIND_S = 1.0  # with forbidden sectors, nothing moves longer without a look
_AHEAD_S = 0.5  # a Stop must be sent so long before the edge
_NUDGE = 1e-3
_LET_GO = "the camera was let go, as it is somewhere else now"

T = TypeVar("T")


class MoveResult(StrEnum):
    """What became of a move."""

    SENT = "sent"
    REPLACED = "replaced"  # a newer move or a stop came before it was sent
    STOPPED = "stopped"  # a stop came while it was being sent, and was sent again after it


class StopResult(StrEnum):
    """What is known after the camera took a Stop."""

    VERIFIED = "verified"  # the camera says that it stands
    UNVERIFIED = "unverified"  # it does not tell, or a new move began


@dataclass(slots=True, eq=False)
class _Move:
    """`send` says whether its goal is known to be allowed, so that nobody need watch it."""

    send: Callable[[], bool]
    timeout_s: float
    done: Future[MoveResult] = field(default_factory=Future)


class CameraGate:
    """One camera. All methods raise `CameraFailure` (or another `CameraError`) when it can't."""

    def __init__(
        self,
        control_factory: Callable[[], CameraControl],
        clock: Clock,
        *,
        answer_s: float = ANSWER_S,
        sectors: Sectors | None = None,
    ) -> None:
        self._sectors = sectors or Sectors()
        self._head: PtzHead | None = None
        self._watched: _Move | None = None
        self.sector_stops = 0  # moves that were ended because they led into a forbidden sector
        self._factory, self._clock, self._answer_s = control_factory, clock, answer_s
        self._building = threading.Lock()
        self._built: CameraControl | None = None
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="camera-gate")
        self._stopper = PtzStopper(self._control, clock, self._verify_later)
        self._moves = threading.Lock()
        self._newest: _Move | None = None
        self._move_waits = threading.Event()
        self._log = get("cameras.gate")

    async def facts(self) -> DeviceFacts:
        """Log in and ask who the camera is."""
        self._head = None  # it may be another one now
        return await self._ask(lambda control: control.facts())

    async def streams(self) -> CameraStreams:
        """Choose main and sub by facts and return their addresses, without a login in them."""
        return await self._ask(_find_streams)

    async def clock_ahead_s(self) -> float | None:
        """Measure how far the camera's clock is ahead of ours; None when it does not tell."""
        return await self._ask(lambda control: control.clock_ahead_s())

    async def position(self) -> PtzPosition:
        """Ask where the camera looks."""
        return await self._ask(lambda control: control.position())

    async def move(self, pan: float, tilt: float, zoom: float, timeout_s: float) -> MoveResult:
        """Move with velocities -1..1; stopped by us after `timeout_s` (at most 60) all the same."""
        _check_move(pan, tilt, zoom, timeout_s)
        return await self._queue(_Move(lambda: self._push(pan, tilt, zoom, timeout_s), timeout_s))

    async def go(self, plan: Callable[["PtzHead"], bool]) -> MoveResult:
        """Let the head go somewhere by itself (`PtzHead.goto` and the like), in turn with moves.

        Raises `CommandError` `ptz.forbidden` when it would look into a forbidden sector.
        """
        return await self._queue(_Move(lambda: plan(self._ptz_head()), _ARRIVED_S))

    async def head(self, question: Callable[["PtzHead"], T]) -> T:
        """Ask the head something that moves nothing."""
        return await self._within_answer_s(self._submit(lambda: question(self._ptz_head())))

    async def _queue(self, move: _Move) -> MoveResult:
        self._put(move)
        self._submit(self._send_newest)
        return await self._within_answer_s(move.done)

    async def stop(self) -> StopResult:
        """Stop at once, past everything that waits, then look whether the camera stands."""
        self._put(None)
        await self._within_answer_s(self._stopper.request())
        looking = self._submit(self._verify)
        try:
            async with asyncio.timeout(_VERIFY_S):
                return await asyncio.wrap_future(looking)
        except TimeoutError:  # a slow question is before us; the Stop itself was taken
            return StopResult.UNVERIFIED

    async def change_login(self, login: Login) -> None:
        """Use another login from now on, without waiting for a back-off."""
        await self._ask(lambda control: control.change_login(login))

    async def close(self) -> None:
        """Stop a camera that still moves for us, then give everything back.

        One that is away is not waited for: it is stopped when it is met again.
        """
        if self._stopper.is_armed and not self._stopper.is_in_vain:
            try:
                await self._within_answer_s(self._stopper.request())
            except CameraError as error:
                self._log.warning("stop at closing failed", code=error.code)
        self._put(None)
        self._stopper.close()
        self._lane.shutdown(wait=False, cancel_futures=True)
        if self._built is not None:
            self._built.close()

    def _control(self) -> CameraControl:
        with self._building:
            if self._built is None:
                self._built = self._factory()
            return self._built

    async def over(self, question: Callable[["OnvifLine"], T]) -> T:
        """Ask something over the camera's line, in turn with all other questions."""
        return await self._ask(lambda control: question(control.line))

    async def _ask(self, question: Callable[[CameraControl], T]) -> T:
        return await self._within_answer_s(self._submit(lambda: question(self._control())))

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        try:
            return self._lane.submit(typed, work)
        except RuntimeError as error:  # closed
            raise CameraUnreachable(_LET_GO) from error

    async def _within_answer_s(self, future: Future[T]) -> T:
        try:
            async with asyncio.timeout(self._answer_s):
                return await asyncio.wrap_future(future)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise CameraUnreachable(_LET_GO) from error  # what waited in the lane, not we
        except TimeoutError as error:
            raise CameraUnreachable(f"no answer within {self._answer_s:.0f} s") from error

    def _put(self, move: _Move | None) -> None:
        """Let `move` be the next one sent; the one it replaces is told so."""
        with self._moves:
            older, self._newest = self._newest, move
            if move is not None:
                self._move_waits.set()
        if older is not None and older.done.set_running_or_notify_cancel():
            older.done.set_result(MoveResult.REPLACED)

    def _send_newest(self) -> None:
        with self._moves:  # a stop clears the move first, so either we see none or it sees us
            move, self._newest = self._newest, None
            stops_before = self._stopper.requested_total
            self._move_waits.clear()
        if move is None or not move.done.set_running_or_notify_cancel():
            return
        try:
            is_allowed = typed(move.send)
        except PolesideError as error:
            if isinstance(error, CameraFailure) and error.retryable and not is_refusal(error):
                self._stopper.request()  # it may have reached the camera all the same
            move.done.set_exception(error)
            return
        if self._stopper.requested_total != stops_before:
            self._stopper.request()  # that Stop may have reached the camera before this move
            move.done.set_result(MoveResult.STOPPED)
            return
        self._watched = move
        now_s = self._clock.monotonic_s()
        if self._sectors and not is_allowed:
            self._stopper.arm(now_s + min(move.timeout_s, _BLIND_S))
            self._watch_on(move, now_s + move.timeout_s, stops_before, None)
        else:
            self._stopper.arm(now_s + move.timeout_s)
        move.done.set_result(MoveResult.SENT)

    def _ptz_head(self) -> "PtzHead":
        if self._head is None:
            from agent.cameras.ptz_head import PtzHead  # noqa: PLC0415 - lxml, ONVIF only

            self._head = PtzHead(self._control(), self._sectors)
        return self._head

    def _push(self, pan: float, tilt: float, zoom: float, timeout_s: float) -> bool:
        if self._sectors and (pan or tilt):
            at = self._control().position()
            ahead = replace(at, pan=_plus(at.pan, pan * _NUDGE), tilt=_plus(at.tilt, tilt * _NUDGE))
            if self._sectors.forbid(at, ahead):
                raise forbidden("the edge of a forbidden sector is reached")
        self._control().move(pan, tilt, zoom, timeout_s)
        return not (pan or tilt)

    def _watch_on(
        self,
        move: _Move,
        until_s: float,
        stops_before: int,
        before: tuple[float, PtzPosition] | None,
    ) -> None:
        with suppress(CameraUnreachable):  # closed meanwhile
            self._submit(lambda: self._watch(move, until_s, stops_before, before))

    def _watch(
        self,
        move: _Move,
        until_s: float,
        stops_before: int,
        before: tuple[float, PtzPosition] | None,
    ) -> None:
        """Look once where a move leads, then again in turn. Without a look it is stopped soon."""
        began_s = self._clock.monotonic_s()
        if self._watched is not move or self._stopper.requested_total != stops_before:
            return
        try:
            at = typed(self._control().position)
        except CameraError:
            return  # the Stop that is due stays due
        now_s = self._clock.monotonic_s()
        if at.is_moving is False and before is not None:
            return
        ahead = at if before is None else _ahead(before[1], at, _AHEAD_S / (now_s - before[0]))
        if self._sectors.forbid(at if before is None else before[1], ahead):
            self._log.warning("stopped at a forbidden sector", pan=at.pan, tilt=at.tilt)
            self.sector_stops += 1
            self._stopper.request()
            return
        if self._stopper.requested_total == stops_before and until_s > now_s:
            self._stopper.arm(min(until_s, began_s + _BLIND_S))
            wait_s(self._move_waits, _LOOK_PAUSE_S)
            self._watch_on(move, until_s, stops_before, (now_s, at))

    def _verify_later(self) -> None:
        with suppress(CameraUnreachable):  # closed meanwhile
            self._submit(self._verify)

    def _verify(self) -> StopResult:
        """Look until the camera stands; stop it once more if it does not."""
        for round_number in range(_ROUNDS):
            if round_number:
                self._log.warning("camera moves on after a stop; stopping again")
                self._control().stop()
            result = self._look()
            if result is not None:
                return result
        raise CameraBadResponse("the camera goes on moving after Stop")

    def _look(self) -> StopResult | None:
        """Return what is seen of a stop, or None when the camera still moves after some looks."""
        before: PtzPosition | None = None
        for _ in range(_LOOKS):
            try:
                now = typed(self._control().position)
            except CameraError:
                return StopResult.UNVERIFIED
            if now.is_moving is None and now.pan is None and now.zoom is None:
                return StopResult.UNVERIFIED
            if now.is_moving is False or (now.is_moving is None and now == before):
                return StopResult.VERIFIED
            before = now
            if self._stopper.is_armed or wait_s(self._move_waits, _LOOK_PAUSE_S):
                return StopResult.UNVERIFIED
        return None


def _plus(value: float | None, more: float) -> float | None:
    return None if value is None else value + more


def _ahead(before: PtzPosition, at: PtzPosition, steps: float) -> PtzPosition:
    """Return where it will look if it goes on for `steps` times as far."""
    if before.pan is None or before.tilt is None or at.pan is None or at.tilt is None:
        return at
    return replace(
        at,
        pan=at.pan + (at.pan - before.pan) * steps,
        tilt=at.tilt + (at.tilt - before.tilt) * steps,
    )


def _find_streams(control: CameraControl) -> CameraStreams:
    main, sub = choose(control.profiles())
    if main is None:
        raise CameraBadResponse("the camera lists no video stream")
    return CameraStreams(
        main_url=control.stream_url(main.token),
        main=main,
        sub_url=control.stream_url(sub.token) if sub else None,
        sub=sub,
    )


def _check_move(pan: float, tilt: float, zoom: float, timeout_s: float) -> None:
    if not all(-1.0 <= velocity <= 1.0 for velocity in (pan, tilt, zoom)):
        raise CommandError("command.bad_value", "a velocity must be between -1 and 1")
    if not 0.0 < timeout_s <= MAX_MOVE_S:
        raise CommandError("command.bad_value", f"a move takes 0 to {MAX_MOVE_S:.0f} seconds")
