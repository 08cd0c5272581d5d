"""Starts the process table, keeps it alive, and tells systemd the truth. Nothing else.

Single-threaded and without asyncio, so that forking is safe. A child that dies is started again
after a back-off; one that says nothing is killed; one that dies again and again is quarantined and
tried now and then. When the supervisor dies its children get SIGTERM from the kernel.
"""

import os
import selectors
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.app import memory
from agent.app.child import SupervisorLink, die_with_parent, name_thread, orphaned, spawn
from agent.app.last_resort import last_resort_of
from agent.app.process import ManagedProcess
from agent.app.process_table import ProcessSpec, process_table
from agent.app.run_dir import PROCESSES_FILE, forget_run_dir, run_dir
from agent.app.settings_on_disk import StoredSettings
from agent.core import log, notify
from agent.core.clock import Clock, to_tick_s
from agent.core.errors import SettingsError
from agent.messages import supervision
from agent.messages.supervision import (
    MAX_MESSAGE_BYTES,
    Beat,
    Configure,
    Processes,
    ProcessReport,
    Reload,
    SuccessorGone,
    ToChild,
    WantSuccessor,
)
from agent.settings.diff import diff
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

TICK_S, CLOSE_TICK_S = 1.0, 0.1  # usually; while stopping, and at the shortest
REPORT_EVERY_S = 5.0
STOP_PATIENCE_S, LAST_PATIENCE_S = 10.0, 6.0  # together less than the unit's TimeoutStopSec


class Supervisor:
    """Runs until SIGTERM or SIGINT; `run` returns the exit code."""

    def __init__(
        self,
        settings: Settings,
        table: dict[str, Any],
        clock: Clock,
        *,
        rows: Callable[[Settings], list[ProcessSpec]] = process_table,
        left_out: tuple[str, ...] = (),
    ) -> None:
        self._settings, self._table, self._clock = settings, table, clock
        self._rows, self._left_out = rows, left_out
        self._stored = StoredSettings(table, data_dir_of(settings))
        self._log = log.get("supervisor")
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, ManagedProcess] = {}
        self._successors: dict[str, ManagedProcess] = {}  # beside a child that still has the place
        self._stopping_since: float | None = None
        self._only_needed_left = False
        self._reported_at_s = self._tend_due_s = 0.0
        self._is_ready = False
        self._notifier = notify.Notifier.from_environment()
        self._last_resort = last_resort_of(settings, clock)

    def run(self) -> int:
        """Start everything and supervise it until told to stop."""
        wakeup = self._catch_signals()
        self._preload()
        for spec in self._rows(self._settings):
            self._add(spec)
        self._log.info("started", processes=list(self._children), pid=os.getpid())
        while self._children or self._successors:
            is_news = False
            for key, _ in self._selector.select(self._tick_s()):
                if key.fileobj is wakeup:
                    wakeup.recv(4096)
                    is_news = True
                else:
                    is_news |= self._hear(key.data)
            if is_news or self._clock.monotonic_s() >= self._tend_due_s:
                self._reap()
                self._tend()
                self._report()
                self._tend_due_s = self._clock.monotonic_s() + CLOSE_TICK_S / 2
        if self._is_ready:  # else systemd gave up on the start: the last resort counts on
            self._last_resort.forget()
            forget_run_dir(self._settings)
        self._log.info("stopped")
        return 0

    def _tick_s(self) -> float:
        """Return how long to wait for news: to the next tick, or until a child is to be started."""
        if self._stopping_since is not None:
            return CLOSE_TICK_S
        due_in_s = min((child.due_in_s for child in self._children.values()), default=TICK_S)
        return min(to_tick_s(self._clock, TICK_S), max(CLOSE_TICK_S, due_in_s))

    # Signals and forking

    def _catch_signals(self) -> socket.socket:
        ours, kernels = socket.socketpair()
        for sock in (ours, kernels):
            sock.setblocking(False)
        signal.set_wakeup_fd(kernels.fileno())
        self._kernels = kernels  # kept open: the signal machinery writes to it
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop_signal)
        self._selector.register(ours, selectors.EVENT_READ)
        return ours

    def _on_stop_signal(self, *_: object) -> None:
        if self._stopping_since is None:
            self._stopping_since = self._clock.monotonic_s()

    def _preload(self) -> None:
        """Load what the forked children share."""
        import agent.app.camera_process  # noqa: F401, PLC0415 - PyAV and numpy, used after fork
        from agent.ingest.decoders import load_tables  # noqa: PLC0415

        load_tables()
        memory.make_shareable()

    def _add(self, spec: ProcessSpec) -> None:
        self._children[spec.name] = ManagedProcess(spec, self._clock)
        self._start(self._children[spec.name])

    def _start(self, child: ManagedProcess) -> None:
        if child.spec.body is None and self._stored.was_taken():
            self._reload()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            if child.spec.body is not None:
                pid = self._fork(child, ours, theirs)
            else:
                pid = spawn(child.spec.module, theirs)
        except OSError as error:
            ours.close()
            self._log.error("could not start", name=child.spec.name, detail=str(error))
            child.failed_to_start(str(error))
            return
        finally:
            theirs.close()
        ours.setblocking(False)
        child.started(pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, child)
        if child.spec.body is None:
            self._send(child, self._configure())
        self._log.info("process started", name=child.spec.name, pid=pid)

    def _fork(self, child: ManagedProcess, ours: socket.socket, theirs: socket.socket) -> int:
        spec, is_successor = child.spec, child in self._successors.values()
        assert spec.body is not None  # noqa: S101 - checked by the caller
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 70
        try:
            ours.close()
            self._let_go()
            die_with_parent()
            name_thread(spec.name)
            log.configure(spec.name, self._settings.log_level, self._clock)
            if not orphaned(parent):
                link = SupervisorLink(theirs, is_successor=is_successor)
                code = spec.body(self._settings, link)
        except BaseException as error:  # noqa: BLE001 - the edge of the process
            log.get(spec.name).error("process failed", exc_info=error)
        finally:
            os._exit(code)

    def _let_go(self) -> None:
        """In a fresh fork: drop what belongs to the supervisor alone."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for child in self._all():
            if child.socket is not None:
                child.socket.close()
        self._selector.close()

    def _all(self) -> list[ManagedProcess]:
        return [*self._children.values(), *self._successors.values()]

    # Hearing and tending

    def _hear(self, child: ManagedProcess) -> bool:
        """Take one message in; return whether it is more than a beat."""
        try:
            payload = child.socket.recv(MAX_MESSAGE_BYTES) if child.socket is not None else b""
        except BlockingIOError:
            return False
        except OSError:
            payload = b""
        if not payload:  # it closed its end; the exit itself is seen by `_reap`
            self._hang_up(child)
            return True
        try:
            message = supervision.decode_from_child(payload)
        except msgspec.MsgspecError as error:  # a child gone mad must not take us along
            self._log.error("child not understood", name=child.spec.name, detail=str(error))
            return False
        if isinstance(message, Beat):
            child.heard(message)
            return False
        if isinstance(message, Reload):
            self._reload()
        elif isinstance(message, WantSuccessor):
            self._begin_succession(child)
        elif (first := self._children.get(child.spec.name)) is not None:
            self._send(first, message)
        return True

    def _hang_up(self, child: ManagedProcess) -> None:
        if child.socket is not None:
            self._selector.unregister(child.socket)
            child.socket.close()
            child.socket = None

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._all():
                if child.pid == pid:
                    self._hang_up(child)
                    child.exited(status, usage.ru_utime + usage.ru_stime)
                    self._log.warning(
                        "process ended", name=child.spec.name, pid=pid, how=child.last_exit
                    )
                    self._reported_at_s = 0.0
                    self._succeed(child)

    def _begin_succession(self, child: ManagedProcess) -> None:
        """Start a second process for a place; it has it as soon as the first is gone."""
        name = child.spec.name
        if self._stopping_since is not None or child.is_leaving or child.spec.body is None:
            return
        if self._children.get(name) is child and name not in self._successors:
            self._successors[name] = ManagedProcess(child.spec, self._clock)
            self._start(self._successors[name])

    def _succeed(self, ended: ManagedProcess) -> None:
        name = ended.spec.name
        successor = self._successors.get(name)
        if successor is None or (successor is not ended and successor.pid is None):
            return
        if successor is ended:
            del self._successors[name]
            if (first := self._children.get(name)) is not None:
                self._send(first, SuccessorGone())
        elif self._children.get(name) is ended and not successor.is_leaving:
            successor.takes_place_of(ended)
            self._children[name] = self._successors.pop(name)

    def _tend(self) -> None:
        if self._stopping_since is not None:
            self._tend_stopping(self._stopping_since)
            return
        for name, child in list(self._children.items()):
            if child.is_leaving:
                child.stop()
                if child.is_silent():
                    child.kill()
                if child.pid is None:
                    del self._children[name]
            elif child.is_silent():
                if child.kill():
                    self._log.error("process hangs, killed", name=name, ages_s=child.ages_s)
            elif child.is_due():
                self._start(child)
        self._tend_successors()
        self._feed_watchdog()

    def _tend_successors(self) -> None:
        for name, successor in list(self._successors.items()):
            if successor.is_leaving or successor.is_silent():
                successor.kill()
            if successor.pid is None:
                del self._successors[name]

    def _tend_stopping(self, since_s: float) -> None:
        self._notifier.stopping()
        # Cameras first: the core stays until the last rule hit is in its outbox.
        going = [c for c in self._all() if not c.spec.needed]
        patience_s = STOP_PATIENCE_S
        if not going:
            going, patience_s = list(self._children.values()), LAST_PATIENCE_S
            if not self._only_needed_left:
                self._only_needed_left = True
                self._stopping_since = since_s = self._clock.monotonic_s()
        for child in going:
            child.stop()
            if self._clock.monotonic_s() - since_s > patience_s:
                child.kill()
        for table in (self._children, self._successors):
            for name in [n for n, c in table.items() if c.pid is None]:
                del table[name]

    def _feed_watchdog(self) -> None:
        stuck = [n for n, c in self._children.items() if c.spec.needed and not c.is_well()]
        self._last_resort.look(is_well=not stuck)
        self._notifier.status(f"no progress: {', '.join(stuck)}" if stuck else "well")
        if stuck:
            if not self._is_ready and any(self._children[name].starts_slowly for name in stuck):
                self._notifier.still_starts()
            return
        if not self._is_ready:
            self._is_ready = True
            self._notifier.ready()
        self._notifier.watchdog()

    # Settings

    def _reload(self) -> None:
        try:
            new = self._stored.read()
        except SettingsError as error:  # they can't be read any more: what is in effect stays
            self._log.error("stored settings refused", code=error.code, detail=error.message)
            return
        change = diff(self._settings, new)
        self._settings = new
        wanted = {spec.name: spec for spec in self._rows(new)}
        for name, child in self._children.items():
            child.is_leaving = name not in wanted
            if name in self._successors:  # it was made for the old settings
                self._successors[name].is_leaving = True
            if child.is_leaving:
                continue
            child.spec, sections = wanted[name], child.spec.sections
            if sections & change.sections or name in {
                f"camera-{camera_id}" for camera_id in change.restarted
            }:
                child.restart_on_purpose()
        for name, spec in wanted.items():
            if name not in self._children:
                self._add(spec)
        self._reported_at_s = 0.0

    def _configure(self) -> Configure:
        return Configure(
            settings_json=msgspec.json.encode(self._settings),
            table_json=msgspec.json.encode(self._table),
            left_out=self._left_out,
        )

    # Reports

    def _report(self) -> None:
        now_s = self._clock.monotonic_s()
        changed = any(child.take_changed() for child in self._children.values())
        if not changed and now_s - self._reported_at_s < REPORT_EVERY_S:
            return
        self._reported_at_s = now_s
        reports = (
            ProcessReport(
                name="supervisor",
                pid=os.getpid(),
                state=supervision.ProcessState.RUNNING,
                since=self._clock.utc_now(),
            ),
            *(child.report() for child in self._children.values()),
        )
        for child in self._children.values():
            if child.spec.needed:
                self._send(child, Processes(processes=reports))
        _write_file(run_dir(self._settings) / PROCESSES_FILE, msgspec.json.encode(reports))

    def _send(self, child: ManagedProcess, message: ToChild) -> None:
        if child.socket is None:
            return
        try:
            child.socket.send(supervision.encode(message))
        except OSError as error:  # full or gone: the next report comes in seconds
            self._log.debug("message not taken", name=child.spec.name, detail=str(error))


def _write_file(path: Path, content: bytes) -> None:
    """For tools and people to read; losing it at a power cut costs nothing."""
    try:
        scratch = path.with_suffix(".tmp")
        scratch.write_bytes(content)
        scratch.replace(path)
    except OSError as error:
        log.get("supervisor").debug("process list not written", detail=str(error))
