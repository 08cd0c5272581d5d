"""The core's end of the camera workers' lines: hits in and acknowledged, pictures on request."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from agent.core import framing, log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import CameraError, PolesideError
from agent.messages import worker
from agent.messages.locking import LockOrder, LockReply
from agent.messages.passing import Passing
from agent.messages.picture import PictureFinding
from agent.messages.push import PushState, StartPush, StopPush
from agent.messages.vision import RuleHit
from agent.messages.worker import (
    CameraStatus,
    Hello,
    HitAck,
    HitReport,
    PictureReply,
    Recognised,
    RestartStreams,
    Retune,
    TakePicture,
    UseStreams,
    WhoIsThere,
    Word,
)
from agent.settings.model import CameraSettings

_Reply = TypeVar("_Reply")

PICTURE_TIMEOUT_S = 3.0
LOCK_TIMEOUT_S = 10.0
PROGRESS_S = 5.0  # nothing is done then: the loop still turns
STALE_STATUS_S = 10.0


class WorkerHub(Service):
    """Listens on the core's Unix socket; one connection a camera."""

    name = "worker-hub"

    def __init__(
        self,
        path: Path,
        clock: Clock,
        on_hit: Callable[[RuleHit], Awaitable[str | None]],
        on_status: Callable[[CameraStatus], None],
        on_finding: Callable[[PictureFinding], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(clock)
        self._path, self._on_hit, self._on_status = path, on_hit, on_status
        self._on_finding = on_finding or _nobody_listens
        self._log = log.get(self.name)
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._statuses: dict[str, tuple[float, CameraStatus]] = {}
        self._pictures: dict[int, asyncio.Future[PictureReply]] = {}
        self._lock_orders: dict[str, asyncio.Future[LockReply]] = {}
        self._ids = itertools.count(1)
        self.hits_total = 0
        self.on_worker: Callable[[str], Awaitable[None]] | None = None
        self.on_push: Callable[[PushState], Awaitable[None]] = _nobody_listens
        self.on_question: Callable[[WhoIsThere], None] = _nobody_answers
        self.on_passing: Callable[[Passing], Awaitable[None]] = _nobody_listens

    async def run(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._talk, self._path)
        self._path.chmod(0o600)
        try:
            while True:
                self.progressed()
                await self._clock.sleep_s(to_tick_s(self._clock, PROGRESS_S))
        finally:
            server.close()
            for writer in self._writers.values():
                writer.close()

    def status(self, camera_id: str) -> CameraStatus | None:
        """Return a worker's last word, None when it is too old to be true."""
        known = self._statuses.get(camera_id)
        if known is None or self._clock.monotonic_s() - known[0] > STALE_STATUS_S:
            return None
        return known[1]

    def statuses(self) -> list[CameraStatus]:
        """Return every fresh status."""
        return [s for camera_id in self._statuses if (s := self.status(camera_id)) is not None]

    async def picture(
        self,
        camera_id: str,
        max_width_px: int = 1280,
        max_bytes: int = 512 * 1024,
        within_s: float = PICTURE_TIMEOUT_S,
        *,
        is_aiming: bool = False,
    ) -> PictureReply:
        """Ask a worker for its newest picture, `is_aiming`: with what helps to aim the camera.

        Raises `CameraError` camera.no_picture.
        """
        request_id = next(self._ids)
        future: asyncio.Future[PictureReply] = asyncio.get_running_loop().create_future()
        self._pictures[request_id] = future
        try:
            async with asyncio.timeout(within_s):
                await self._send(
                    camera_id,
                    TakePicture(
                        request_id=request_id,
                        max_width_px=max_width_px,
                        max_bytes=max_bytes,
                        is_aiming=is_aiming,
                    ),
                )
                reply = await future
        except TimeoutError:
            raise _no_picture(camera_id) from None
        finally:
            del self._pictures[request_id]
        if reply.jpeg is None:
            raise _no_picture(camera_id)
        return reply

    async def retune(self, camera: CameraSettings, *, is_shed: bool = False) -> None:
        """Hand a camera's worker its new settings; `is_shed`: its detection is off for heat."""
        told = Retune(camera_json=msgspec.json.encode(camera), is_shed=is_shed)
        await self._send(camera.camera_id, told)

    async def use_streams(
        self, camera_id: str, main_url: str, sub_url: str, *, has_ptz: bool = False
    ) -> None:
        """Tell a worker where ONVIF says its streams are, and whether the camera can turn."""
        told = UseStreams(main_url=main_url, sub_url=sub_url, has_ptz=has_ptz)
        await self._send(camera_id, told)

    async def recognised(self, camera_id: str, host: str, word: Word) -> None:
        """Tell a worker who is at a host. Raises `CameraError` when it is not there."""
        await self._send(camera_id, Recognised(host=host, word=word))

    async def restart_streams(self, camera_id: str) -> None:
        """Have a worker open its streams anew. Raises `CameraError` when it is not there."""
        await self._send(camera_id, RestartStreams())

    async def order_push(self, camera_id: str, order: StartPush | StopPush) -> None:
        """Have a worker begin or end a push. Raises `CameraError` when it is not there."""
        await self._send(camera_id, order)

    async def order_lock(self, camera_id: str, order: LockOrder) -> LockReply:
        """Have a worker lock or unlock. Raises `CameraError` camera.worker_silent."""
        future: asyncio.Future[LockReply] = asyncio.get_running_loop().create_future()
        self._lock_orders[order.request_id] = future
        try:
            await self._send(camera_id, order)
            async with asyncio.timeout(LOCK_TIMEOUT_S):
                return await future
        except TimeoutError:
            raise _silent(camera_id) from None
        finally:
            del self._lock_orders[order.request_id]

    def is_connected(self, camera_id: str) -> bool:
        """Return whether the camera's worker is on the line."""
        return camera_id in self._writers

    def line_of(self, camera_id: str) -> object | None:
        """Return what stands for the camera's worker on the line; another one is not equal."""
        return self._writers.get(camera_id)

    async def _send(self, camera_id: str, message: worker.ToWorker) -> None:
        writer = self._writers.get(camera_id)
        if writer is None:
            raise _silent(camera_id)
        try:
            await framing.write_frame(writer, worker.encode(message))
        except OSError as error:
            raise _no_picture(camera_id) from error

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        camera_id = ""
        try:
            while (payload := await framing.read_frame(reader)) is not None:
                message = worker.decode_to_core(payload)
                if isinstance(message, Hello):
                    camera_id = message.camera_id
                    self._writers[camera_id] = writer
                    self._log.info("worker connected", camera=camera_id, pid=message.pid)
                    if self.on_worker is not None:
                        await self.on_worker(camera_id)
                else:
                    await self._take(message, writer)
        except (OSError, PolesideError, msgspec.MsgspecError) as error:
            self._log.warning("worker's line ended", camera=camera_id, reason=str(error))
        finally:
            if self._writers.get(camera_id) is writer:
                del self._writers[camera_id]
                self._statuses.pop(camera_id, None)  # what it said last is not so any more
            writer.close()

    async def _take(
        self,
        message: CameraStatus
        | HitReport
        | PictureReply
        | PictureFinding
        | LockReply
        | PushState
        | Passing
        | WhoIsThere,
        writer: asyncio.StreamWriter,
    ) -> None:
        match message:
            case CameraStatus():
                self._statuses[message.camera_id] = (self._clock.monotonic_s(), message)
                self._on_status(message)
            case HitReport():
                self.hits_total += 1
                # On an error the line ends and the hit comes again.
                incident_id = await self._on_hit(message.hit) or ""
                ack = HitAck(hit_id=message.hit.hit_id, incident_id=incident_id)
                await framing.write_frame(writer, worker.encode(ack))
            case PictureFinding():
                await self._on_finding(message)
            case PushState():
                await self.on_push(message)
            case Passing():
                await self.on_passing(message)
            case WhoIsThere():
                self.on_question(message)
            case PictureReply():
                _settle(self._pictures.get(message.request_id), message)
            case LockReply():
                _settle(self._lock_orders.get(message.request_id), message)


def _settle(waiting: asyncio.Future[_Reply] | None, reply: _Reply) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(reply)


def _nobody_answers(_: object) -> None:
    """Drop a question: the worker goes by what it knows."""


async def _nobody_listens(_: object) -> None:
    """Drop what no one asked for."""


def _silent(camera_id: str) -> CameraError:
    return CameraError(
        "camera.worker_silent",
        f"The process of camera {camera_id} is not there just now.",
        hint="It is started again by itself; try again in some seconds.",
        retryable=True,
    )


def _no_picture(camera_id: str) -> CameraError:
    return CameraError(
        "camera.no_picture",
        f"Camera {camera_id} has no picture just now.",
        hint="Look whether its sub stream is online.",
        retryable=True,
    )
