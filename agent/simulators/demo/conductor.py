"""Conducts a demo: sets the stage, watches it, pulls the asked plugs, writes the report.

Everything on the stage is a process of its own and real, but for the cameras, the board and the
center, which are simulators and say so.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import psutil
from msgspec import structs

from agent.contract.topics import BoxAddress
from agent.core.clock import Clock
from agent.core.errors import PolesideError
from agent.simulators.broker import CENTER, EmbeddedBroker, free_port
from agent.simulators.demo import report as reports
from agent.simulators.demo.box_page import box_state, is_all_well
from agent.simulators.demo.broker_prop import BrokerProp
from agent.simulators.demo.center_page import CenterPage
from agent.simulators.demo.costs import Costs
from agent.simulators.demo.plugs import Plug, Pulled
from agent.simulators.demo.props import Prop
from agent.simulators.demo.report import Report
from agent.simulators.demo.scenery import (
    BOX,
    SITE,
    DemoCamera,
    cameras,
    fire_place,
    write_box_settings,
    write_camera,
)
from agent.simulators.footage import Footage

LOOPBACK = "127.0.0.1"
READY_S = 90.0
DRAIN_S = 20.0
POLL_S = 0.5
PING_EVERY_S = 3.0
LOOK_ROUND_EVERY_S = 8.0
RECOVERY_LIMIT_S = 120.0


class Stageable(Protocol):
    """Anything with a plug."""

    @property
    def pid(self) -> int | None: ...

    @property
    def starts(self) -> int: ...

    async def start(self) -> None: ...

    def pull_plug(self, off_s: float) -> None: ...

    async def keep(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """`seconds` None: until stopped. Ports 0: any free one."""

    data_dir: Path
    seconds: float | None
    plugs: tuple[Plug, ...] = ()
    center_port: int = 0
    box_port: int = 0


@dataclass(slots=True)
class _Seen:
    """What was noted while the demo ran."""

    state: dict[str, Any] | None = None
    detections: dict[str, int] = field(default_factory=dict)
    detections_before: dict[str, int] = field(default_factory=dict)
    rtt_ms: list[float] = field(default_factory=list)
    pulled: list[Pulled] = field(default_factory=list)


class Conductor:
    """One demo. `run` returns the report."""

    def __init__(
        self,
        options: DemoOptions,
        footage: Footage,
        clock: Clock,
        say: Callable[[str], None],
        on_ready: Callable[[str], None],
    ) -> None:
        self._options, self._footage, self._clock = options, footage, clock
        self._say, self._on_ready = say, on_ready
        self._box_dir = options.data_dir / "box"
        self._center_dir = options.data_dir / "center"
        self._logs = options.data_dir / "logs"
        self._box_port = options.box_port or free_port()
        self._center_port = options.center_port or free_port()
        self._relay_port = free_port()
        self._cameras = cameras(footage)
        self._seen = _Seen()
        self._stage: dict[str, Stageable] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._costs = Costs(self._box_dir)
        self.stop = asyncio.Event()

    @property
    def page_url(self) -> str:
        """Where a person looks."""
        return f"http://{LOOPBACK}:{self._center_port}/"

    async def run(self) -> Report:
        """Run the whole demo. Raises `PolesideError` when the stage can't be set."""
        started_at, began_s = self._clock.utc_now(), self._clock.monotonic_s()
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._set_stage(tasks)
                await self._until_well()
                self._on_ready(self.page_url)
                began_s = self._clock.monotonic_s()
                self._costs.begin()
                await self._play(tasks, began_s)
                await self._drain()
                self._costs.measure(
                    len(self._cameras),
                    self._clock.monotonic_s() - began_s,
                    # a supervisor that was killed took its count of CPU time with it
                    is_complete=self._restarts_of("supervisor") == 0,
                )
            finally:
                for keeper in self._keepers:
                    keeper.cancel()
                await self._clear_stage()
        return self._report(started_at, self._clock.monotonic_s() - began_s)

    # The stage

    async def _set_stage(self, tasks: asyncio.TaskGroup) -> None:
        broker = EmbeddedBroker(
            self._options.data_dir / "broker", [BoxAddress(SITE, BOX)], self._clock
        )
        await self._add(tasks, "broker", BrokerProp(broker, self._clock))
        for camera in self._cameras:
            await self._add(tasks, camera.camera_id, self._camera_prop(camera))
        for camera in self._cameras:
            await self._until_listening(camera.camera_id, camera.config.rtsp_port)
        await self._add(tasks, "center", self._center_prop(broker))
        await self._until_listening("center", self._center_port)
        settings_file = self._options.data_dir / "box.toml"
        write_box_settings(
            settings_file,
            self._box_dir,
            self._cameras,
            broker.settings(BOX),
            self._center_dir / "center-keys.json",
            self._box_port,
        )
        await self._add(
            tasks,
            "supervisor",
            self._prop(
                "supervisor", "-m", "agent.local.cli.main", "run", "--config", str(settings_file)
            ),
        )

    async def _add(self, tasks: asyncio.TaskGroup, name: str, prop: Stageable) -> None:
        self._stage[name] = prop
        await prop.start()
        self._keepers.append(tasks.create_task(prop.keep()))

    def _prop(self, name: str, *arguments: str, **environment: str) -> Prop:
        return Prop(name, (sys.executable, *arguments), self._logs, self._clock, environment)

    def _camera_prop(self, camera: DemoCamera) -> Prop:
        config_file = write_camera(camera, self._options.data_dir / "cameras")
        return self._prop(
            camera.camera_id, "-m", "agent.simulators.camera", "--config", str(config_file)
        )

    def _center_prop(self, broker: EmbeddedBroker) -> Prop:
        access = broker.settings(CENTER)
        return self._prop(
            "center",
            *("-m", "agent.local.cli.main", "center", "ingest"),
            *("--data-dir", str(self._center_dir), "--site", SITE),
            *("--broker", access.urls[0], "--username", access.username),
            *("--http", f"{LOOPBACK}:{self._center_port}"),
            *("--box-page", f"http://{LOOPBACK}:{self._box_port}"),
            *("--relay-port", str(self._relay_port)),
            *("--fire-at", *map(str, fire_place())),
            *("--footage-en", self._footage.title_en, "--footage-ko", self._footage.title_ko),
            POLESIDE_BROKER_PASSWORD=access.password,
        )

    async def _until_listening(self, name: str, port: int) -> None:
        until_s = self._clock.monotonic_s() + READY_S
        while not await asyncio.to_thread(_listens, port):
            if self._clock.monotonic_s() > until_s:
                raise self._not_ready(name)
            await self._clock.sleep_s(0.1)

    async def _until_well(self) -> None:
        until_s = self._clock.monotonic_s() + READY_S
        while not is_all_well(await self._look(), len(self._cameras)) and not self.stop.is_set():
            if self._clock.monotonic_s() > until_s:
                raise self._not_ready("supervisor")
            await self._clock.sleep_s(POLL_S)

    def _not_ready(self, name: str) -> PolesideError:
        prop = self._stage[name]
        words = prop.last_words() if isinstance(prop, Prop) else ""
        return PolesideError(
            "demo.not_ready",
            f"`{name}` was not ready within {READY_S:.0f} s. Its last words:\n{words}",
            hint=f"See {self._logs}.",
        )

    async def _clear_stage(self) -> None:
        """The box first, so that it can tell the center; then everything else."""
        for name in ("supervisor", *(c.camera_id for c in self._cameras), "center", "broker"):
            if name in self._stage:
                await self._stage[name].stop()

    # The play

    async def _play(self, tasks: asyncio.TaskGroup, began_s: float) -> None:
        side = [tasks.create_task(self._watch()), tasks.create_task(self._ping())]
        if self._options.seconds is not None:  # else a person is there, and the camera is theirs
            side.append(tasks.create_task(self._look_round()))
        plugs = [tasks.create_task(self._pull(plug, began_s)) for plug in self._options.plugs]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.seconds):
                await self.stop.wait()
        for task in (*side, *plugs):
            task.cancel()

    async def _watch(self) -> None:
        while True:
            state = await self._look()
            if state is not None:
                self._count_detections(state)
            await self._clock.sleep_s(POLL_S)

    def _count_detections(self, state: dict[str, Any]) -> None:
        """Add up what each worker counted; a worker that was replaced counts from zero again."""
        for camera in state["cameras"]:
            now = camera["detections"]
            if now is None:
                continue
            name, seen = camera["camera_id"], self._seen
            before = seen.detections_before.get(name, 0)
            grown = now - before if now >= before else now
            seen.detections[name] = seen.detections.get(name, 0) + grown
            seen.detections_before[name] = now

    async def _ping(self) -> None:
        page = CenterPage(LOOPBACK, self._center_port)
        while True:
            line = await asyncio.to_thread(page.order, SITE, BOX, {"op": "ping"})
            if line is not None and line["state"] == "done":
                self._seen.rtt_ms.append(line["done_ms"])
            await self._clock.sleep_s(PING_EVERY_S)

    async def _look_round(self) -> None:
        """Let the PTZ camera look left and right, by signed orders through the center."""
        page, direction = CenterPage(LOOPBACK, self._center_port), 1.0
        ptz = next((c.camera_id for c in self._cameras if c.config.ptz), None)
        while ptz is not None:
            await self._clock.sleep_s(LOOK_ROUND_EVERY_S)
            order: dict[str, object] = {
                "op": "ptz.move",
                "camera_id": ptz,
                "pan": 0.4 * direction,
                "timeout_s": 1.5,
                "purpose": "tour",
            }
            await asyncio.to_thread(page.order, SITE, BOX, order)
            direction = -direction

    async def _pull(self, plug: Plug, began_s: float) -> None:
        await self._clock.sleep_s(began_s + plug.at_s - self._clock.monotonic_s())
        pid = self._pid_of(plug.what)
        self._say(f"Pulling the plug of {plug.what} (pid {pid}) for {plug.off_s:g} s.")
        index = len(self._seen.pulled)
        pulled = Pulled(what=plug.what, at_s=plug.at_s, off_s=plug.off_s, pid=pid, recovered_s=None)
        self._seen.pulled.append(pulled)
        if plug.what in self._stage:
            self._stage[plug.what].pull_plug(plug.off_s)
        elif pid is not None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        took_s = await self._until_recovered(plug, pid)
        if took_s is None:
            self._say(f"Not all was well again after {plug.what} was pulled.")
            return
        self._say(f"All is well again {took_s:.1f} s after {plug.what} was pulled.")
        self._seen.pulled[index] = structs.replace(pulled, recovered_s=round(took_s, 2))

    async def _until_recovered(self, plug: Plug, old_pid: int | None) -> float | None:
        pulled_s = self._clock.monotonic_s()
        while self._clock.monotonic_s() - pulled_s < RECOVERY_LIMIT_S + plug.off_s:
            await self._clock.sleep_s(POLL_S)
            pid = self._pid_of(plug.what)
            is_new = pid is not None and pid != old_pid
            if is_new and is_all_well(await self._look(), len(self._cameras)):
                return self._clock.monotonic_s() - pulled_s
        return None

    def _restarts_of(self, name: str) -> int:
        return max(0, self._stage[name].starts - 1)

    def _pid_of(self, what: str) -> int | None:
        if what in self._stage:
            return self._stage[what].pid
        return self._costs.agent_pids().get(what)

    async def _look(self) -> dict[str, Any] | None:
        state = await asyncio.to_thread(box_state, LOOPBACK, self._box_port)
        if state is not None:
            self._seen.state = state
        return state

    async def _drain(self) -> None:
        """Give what is queued a moment to be acknowledged before anything is stopped."""
        until_s = self._clock.monotonic_s() + DRAIN_S
        while self._clock.monotonic_s() < until_s:
            state = await self._look()
            if state is not None and sum(state["outbox"]["queued"].values()) == 0:
                return
            await self._clock.sleep_s(POLL_S)

    # The report

    def _report(self, started_at: datetime, seconds: float) -> Report:
        now = self._clock.utc_now()
        ids: Sequence[str] = [camera.camera_id for camera in self._cameras]
        rows = [reports.camera_row(self._box_dir, camera_id, now) for camera_id in ids]
        state = self._seen.state or {"faults": [], "processes": []}
        return Report(
            started_at=started_at,
            seconds=round(seconds, 1),
            footage=self._footage.title_en,
            footage_origin=self._footage.origin,
            simulated=("cameras", "board", "center"),
            cameras=rows,
            recorded_s=round(sum(row.recorded_s for row in rows), 2),
            detections=sum(self._seen.detections.values()),
            events=reports.event_counts(self._box_dir, self._center_dir, ids),
            latency_ms=reports.spread(reports.latencies_ms(self._box_dir)),
            command_rtt_ms=reports.spread(self._seen.rtt_ms),
            cpu_s_per_camera_minute=self._costs.cpu_s_per_camera_minute,
            pss_mib=self._costs.pss_mib,
            detector_ms=self._costs.detector_ms(),
            pulled=self._seen.pulled,
            restarts={p["name"]: p["restarts"] or 0 for p in state["processes"]}
            | {name: self._restarts_of(name) for name in self._stage},
            faults_at_end=[fault["code"] for fault in state["faults"]],
        )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0
