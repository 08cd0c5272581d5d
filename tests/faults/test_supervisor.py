"""The supervisor keeps its processes alive, stops them in order, and tells systemd the truth.

It runs in a process of its own, with a small process table of test bodies instead of cameras.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from agent.app import process as rows
from agent.app.last_resort import reboots_of
from agent.app.process import ManagedProcess
from agent.app.process_table import ProcessSpec, process_table
from agent.core.clock import SystemClock
from agent.messages.supervision import Beat, ProcessState
from agent.settings.model import CameraSettings, Settings
from tests.fake_clock import FakeClock

SUPERVISOR = textwrap.dedent("""
    import os, signal, sys, threading
    from pathlib import Path
    from agent.app.process_table import ProcessSpec
    from agent.app.supervisor import Supervisor
    from agent.core.clock import SystemClock
    from agent.messages.supervision import SuccessorGone
    from agent.settings.model import BoardSettings, Settings

    folder = Path(sys.argv[1])

    def living(name, mute_after=None):
        def body(settings, link):
            stop = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            beats = 0
            while not stop.wait(0.1):
                if mute_after is None or beats < mute_after:
                    link.beat({})
                    beats += 1
            with (folder / "ends").open("a") as file:
                file.write(name + "\\n")
            return 0
        return body

    def dying(settings, link):
        return 3

    def babbling(settings, link):
        link._send(b"\\xc1 this is no message")
        return living("babbler")(settings, link)

    def once(settings, link):
        marker = folder / "was-here"
        lived_before = marker.exists()
        marker.touch()
        return living("core", mute_after=0 if lived_before else None)(settings, link)

    def replaceable(settings, link):
        stop, ordered = threading.Event(), threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGUSR1, lambda *_: ordered.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        link.beat({})
        with (folder / "lives").open("a") as file:
            file.write(f"{os.getpid()} {link.is_successor}\\n")
        while not stop.wait(0.05):
            link.beat({})
            if ordered.is_set():
                ordered.clear()
                link.ask_successor()
            while (message := link.receive()) is not None:
                if isinstance(message, SuccessorGone):
                    (folder / "successor-gone").touch()
        return 0

    def stalling(settings, link):
        '''It beats all the while; one of its parts works for a second, then no more.'''
        stop, clock = threading.Event(), SystemClock()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        began_s = clock.monotonic_s()
        while not stop.wait(0.1):
            link.beat({"health": max(0.0, clock.monotonic_s() - began_s - 1.0), "heat": 0.0})
            (folder / "beats").write_text(str(clock.monotonic_s()))
        return 0

    NONE = frozenset()
    TABLES = {
        "replaceable": [
            ProcessSpec("camera", NONE, replaceable, silent_s=2.0),
            ProcessSpec("core", NONE, living("core"), needed=True),
        ],
        "pair": [
            ProcessSpec("camera", NONE, living("camera")),
            ProcessSpec("core", NONE, living("core"), needed=True),
        ],
        "mute": [
            ProcessSpec("camera", NONE, living("camera", mute_after=5), silent_s=1.0),
            ProcessSpec("core", NONE, living("core"), needed=True),
        ],
        "dying": [
            ProcessSpec("camera", NONE, dying),
            ProcessSpec("core", NONE, living("core"), needed=True),
        ],
        "babbling": [
            ProcessSpec("camera", NONE, babbling),
            ProcessSpec("core", NONE, living("core"), needed=True),
        ],
        "mute core": [
            ProcessSpec("core", NONE, living("core", mute_after=5), needed=True, silent_s=3.0),
        ],
        "core without progress": [
            ProcessSpec("camera", NONE, living("camera")),
            ProcessSpec("core", NONE, stalling, needed=True, silent_s=2.0),
        ],
        "core once": [
            ProcessSpec("camera", NONE, living("camera")),
            ProcessSpec("core", NONE, once, needed=True),
        ],
        "silent core": [
            ProcessSpec("camera", NONE, living("camera")),
            ProcessSpec("core", NONE, living("core", mute_after=0), needed=True),
        ],
    }
    Supervisor._preload = lambda self: None  # the bodies here need neither PyAV nor numpy
    board = BoardSettings(kind="simulated", reboot_after_s=float(sys.argv[3]))
    settings = Settings(data_dir=str(folder), board=board)
    sys.exit(Supervisor(settings, {}, SystemClock(), rows=lambda _: TABLES[sys.argv[2]]).run())
""")
PATIENCE_S = 40.0


@pytest.fixture(autouse=True)
def nothing_left_in_memory(tmp_path):
    """Remove what a box that was never ready keeps there."""
    yield
    shutil.rmtree((tmp_path / "run").resolve(), ignore_errors=True)


class Running:
    """A supervisor process and what it says of its children."""

    def __init__(self, folder, table, environ, reboot_after_s):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(folder), table, str(reboot_after_s)],
            stderr=subprocess.DEVNULL,
            env=os.environ | environ,
        )

    def row(self, name):
        with suppress(OSError, json.JSONDecodeError):
            for row in json.loads((self.folder / "run/processes.json").read_text()):
                if row["name"] == name:
                    return row
        return {"pid": None, "state": "", "restarts": 0, "last_exit": None}

    def until(self, condition):
        clock, nobody = SystemClock(), threading.Event()
        until_s = clock.monotonic_s() + PATIENCE_S
        while not condition():
            assert clock.monotonic_s() < until_s, "it did not come to pass"
            nobody.wait(0.02)

    def until_running(self, name, not_pid=None):
        """Wait until a process runs (another one than `not_pid`); return its pid."""
        self.until(lambda: (row := self.row(name))["state"] == "running" and row["pid"] != not_pid)
        return self.row(name)["pid"]


@contextmanager
def running(folder, table="pair", reboot_after_s=0.0, **environ):
    supervisor = Running(folder, table, environ, reboot_after_s)
    children = []
    try:
        yield supervisor
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(supervisor.process.pid).children()
    finally:
        supervisor.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            supervisor.process.wait(PATIENCE_S)
        supervisor.process.kill()
        supervisor.process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()


def test_a_killed_process_is_started_again_and_its_end_is_told(tmp_path):
    with running(tmp_path) as supervisor:
        core = supervisor.until_running("core")
        pid = supervisor.until_running("camera")
        for restarts in (1, 2):
            os.kill(pid, signal.SIGKILL)
            pid = supervisor.until_running("camera", not_pid=pid)
            supervisor.until(lambda: supervisor.row("camera")["restarts"] == restarts)  # noqa: B023
        assert supervisor.row("camera")["last_exit"] == "killed by SIGKILL"
        assert supervisor.row("camera")["last_down_s"] > 0
        assert supervisor.row("core")["pid"] == core


def test_a_process_that_lives_but_gives_no_sign_is_killed_and_started_again(tmp_path):
    with running(tmp_path, "mute") as supervisor:
        pid = supervisor.until_running("camera")
        supervisor.until_running("camera", not_pid=pid)
        assert supervisor.row("camera")["last_exit"] == "killed by SIGKILL"


def test_a_stopped_process_counts_as_silent_too(tmp_path):
    with running(tmp_path, "mute core") as supervisor:
        pid = supervisor.until_running("core")
        os.kill(pid, signal.SIGSTOP)
        supervisor.until_running("core", not_pid=pid)


def test_one_that_dies_again_and_again_is_quarantined_and_the_others_go_on(tmp_path):
    with running(tmp_path, "dying") as supervisor:
        core = supervisor.until_running("core")
        supervisor.until(lambda: supervisor.row("camera")["restarts"] >= 3)
        assert supervisor.row("camera")["last_exit"] == "exit code 3"
        assert supervisor.row("core")["pid"] == core


def test_nonsense_from_a_child_is_survived(tmp_path):
    with running(tmp_path, "babbling") as supervisor:
        supervisor.until_running("camera")
        supervisor.until_running("core")
        assert supervisor.process.poll() is None


def test_sigterm_stops_all_in_order_with_the_needed_one_last(tmp_path):
    with running(tmp_path) as supervisor:
        pids = [supervisor.until_running(name) for name in ("camera", "core")]
        supervisor.process.send_signal(signal.SIGTERM)
        assert supervisor.process.wait(PATIENCE_S) == 0
    assert (tmp_path / "ends").read_text().split() == ["camera", "core"]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_killed_supervisor_leaves_no_orphan(tmp_path):
    with running(tmp_path) as supervisor:
        pids = [supervisor.until_running(name) for name in ("camera", "core")]
        supervisor.process.kill()
        supervisor.process.wait()
        supervisor.until(lambda: not any(is_alive(pid) for pid in pids))


# A second process for a place


def until_two(supervisor):
    """Order a successor; return the pids of both."""
    first = supervisor.until_running("camera")
    lives = supervisor.folder / "lives"
    supervisor.until(lambda: lives.exists() and str(first) in lives.read_text())
    os.kill(first, signal.SIGUSR1)
    supervisor.until(lambda: lives.read_text().split()[-1] == "True")
    assert supervisor.row("camera")["pid"] == first  # the place is still its
    return first, int(lives.read_text().split()[-2])


def test_a_successor_has_the_place_as_soon_as_the_first_is_gone(tmp_path):
    with running(tmp_path, "replaceable") as supervisor:
        first, second = until_two(supervisor)
        os.kill(first, signal.SIGKILL)
        assert supervisor.until_running("camera", not_pid=first) == second
        assert len((tmp_path / "lives").read_text().splitlines()) == 2  # nobody else was started


def test_one_that_waits_for_a_successor_is_told_when_that_dies(tmp_path):
    with running(tmp_path, "replaceable") as supervisor:
        first, second = until_two(supervisor)
        os.kill(second, signal.SIGKILL)
        supervisor.until((tmp_path / "successor-gone").exists)
        assert supervisor.row("camera")["pid"] == first
        os.kill(first, signal.SIGUSR1)  # and may ask again
        supervisor.until(lambda: len((tmp_path / "lives").read_text().splitlines()) == 3)


def test_a_hung_successor_is_killed(tmp_path):
    with running(tmp_path, "replaceable") as supervisor:
        first, second = until_two(supervisor)
        os.kill(second, signal.SIGSTOP)
        supervisor.until((tmp_path / "successor-gone").exists)
        assert supervisor.row("camera")["pid"] == first


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_both_end_with_the_supervisor(tmp_path, number):
    with running(tmp_path, "replaceable") as supervisor:
        pids = until_two(supervisor)
        supervisor.process.send_signal(number)
        supervisor.process.wait(PATIENCE_S)
        supervisor.until(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# systemd


@contextmanager
def systemd(folder):
    """A real notify socket; yields a function that returns the words said since the last call."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "notify"))
        sock.setblocking(False)

        def words():
            said = []
            while True:
                try:
                    said += sock.recv(4096).decode().split("\n")
                except BlockingIOError:
                    return said

        yield words


def test_systemd_is_told_ready_once_then_fed_then_told_of_the_stop(tmp_path):
    with (
        systemd(tmp_path) as words,
        running(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as supervisor,
    ):
        said = []
        supervisor.until(lambda: said.extend(words()) or said.count("WATCHDOG=1") >= 3)
        assert said.index("STATUS=well") < said.index("WATCHDOG=1")
        assert said.index("READY=1") < said.index("WATCHDOG=1")
        supervisor.process.send_signal(signal.SIGTERM)
        supervisor.process.wait(PATIENCE_S)
        said += words()
        assert said.count("READY=1") == 1
        assert said[-1] == "STOPPING=1"
        assert "WATCHDOG=1" not in said[said.index("STOPPING=1") :]


def test_a_core_that_never_speaks_is_never_called_ready(tmp_path):
    with (
        systemd(tmp_path) as words,
        running(tmp_path, "silent core", NOTIFY_SOCKET=str(tmp_path / "notify")) as supervisor,
    ):
        supervisor.until_running("camera")
        threading.Event().wait(1.5)
        assert words() == ["STATUS=no progress: core"]  # and once


def test_the_watchdog_is_not_fed_while_the_needed_process_is_gone(tmp_path):
    with (
        systemd(tmp_path) as words,
        running(tmp_path, "core once", NOTIFY_SOCKET=str(tmp_path / "notify")) as supervisor,
    ):
        core = supervisor.until_running("core")
        supervisor.until(lambda: "WATCHDOG=1" in words())
        os.kill(core, signal.SIGKILL)
        supervisor.until(lambda: supervisor.row("core")["restarts"] == 1)
        words()
        threading.Event().wait(2.0)  # the supervisor goes round four times
        assert words() == []
        assert supervisor.row("camera")["state"] == "running"


def test_a_part_without_progress_starves_the_watchdog_though_its_process_beats(tmp_path):
    with (
        systemd(tmp_path) as words,
        running(
            tmp_path, "core without progress", NOTIFY_SOCKET=str(tmp_path / "notify")
        ) as supervisor,
    ):
        core, said = supervisor.until_running("core"), []
        supervisor.until(lambda: "WATCHDOG=1" in words())
        supervisor.until(lambda: said.extend(words()) or "STATUS=no progress: core" in said)
        supervisor.until_running("core", not_pid=core)
        assert supervisor.row("core")["last_exit"] == "killed by SIGKILL"
        said += words()
        starved = said[said.index("STATUS=no progress: core") :]
        if "STATUS=well" in starved:
            starved = starved[: starved.index("STATUS=well")]
        assert "WATCHDOG=1" not in starved
        assert supervisor.row("camera")["restarts"] == 0


class HardwareWatchdog:
    """What the kernel's device does: fed in time it waits, else it resets the board for good."""

    def __init__(self, timeout_s):
        self._timeout_s, self._clock = timeout_s, SystemClock()
        self._fed_s, self.has_reset = self._clock.monotonic_s(), False

    def look(self, *, is_fed):
        now_s = self._clock.monotonic_s()
        self.has_reset = self.has_reset or now_s - self._fed_s > self._timeout_s
        if is_fed:
            self._fed_s = now_s
        return self.has_reset


def test_a_supervisor_that_stands_still_feeds_nothing_and_the_board_would_be_reset(tmp_path):
    with (
        systemd(tmp_path) as words,
        running(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as supervisor,
    ):
        supervisor.until(lambda: "WATCHDOG=1" in words())
        fed = []
        supervisor.until(lambda: fed.extend(words()) or fed.count("WATCHDOG=1") >= 3)
        children = [supervisor.row(name)["pid"] for name in ("camera", "core")]
        supervisor.process.send_signal(signal.SIGSTOP)
        words()
        device = HardwareWatchdog(timeout_s=3.0)
        supervisor.until(lambda: device.look(is_fed="WATCHDOG=1" in words()))
        assert all(is_alive(pid) for pid in children)  # they live, which is not enough
        supervisor.process.send_signal(signal.SIGCONT)
        supervisor.until(lambda: "WATCHDOG=1" in words())


def test_a_box_whose_core_makes_no_progress_reboots_and_keeps_the_reason(tmp_path):
    with running(tmp_path, "silent core", reboot_after_s=2.0) as supervisor:
        supervisor.until((supervisor.folder / "run/rebooted").exists)  # a simulated board's reboot
        (reboot,) = reboots_of(tmp_path)
        assert "no progress" in reboot.reason


def test_starts_that_systemd_gives_up_on_count_as_one_time_without_progress(tmp_path):
    kept = tmp_path / "run/progress"
    with running(tmp_path, "silent core", reboot_after_s=3600.0) as supervisor:
        first = supervisor.until_running("camera")
        supervisor.until(lambda: kept.exists() and kept.read_text())
        began = kept.read_text()
    with running(tmp_path, "silent core", reboot_after_s=3600.0) as supervisor:
        supervisor.until_running("camera", not_pid=first)
    assert kept.read_text() == began


def test_a_box_whose_core_progresses_is_left_alone(tmp_path):
    with running(tmp_path, reboot_after_s=2.0) as supervisor:
        supervisor.until_running("core")
        threading.Event().wait(4.0)
        assert not (supervisor.folder / "run/rebooted").exists()
        assert reboots_of(tmp_path) == []


# What forking needs


def test_the_supervisor_has_one_thread_when_it_forks():
    code = (
        "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'\n"  # as `poleside run` sets it
        "import agent.app.supervisor as s; s.Supervisor._preload(None)\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_poleside_run_keeps_numpy_to_one_thread():
    source = Path("agent/local/cli/run.py").read_text()
    assert source.index('"OPENBLAS_NUM_THREADS", "1"') < source.index("import Supervisor")


# One row's timing, without waiting


@pytest.fixture
def clock():
    return FakeClock()


def make_row(clock, **changes):
    return ManagedProcess(
        ProcessSpec(**{"name": "camera", "sections": frozenset()} | changes), clock
    )


def start(row):
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.close()
    row.started(4_194_305, ours)  # no such pid


def die(row, lived_s=0.0):
    start(row)
    row._clock.pass_s(lived_s)
    row.exited(signal.SIGKILL, 0.5)


def wait_of(row):
    return row._due_s - row._clock.monotonic_s()


def test_the_wait_before_a_restart_grows_and_a_steady_life_makes_it_short_again(clock):
    row = make_row(clock, needed=True)
    waits = []
    for _ in range(6):
        die(row)
        waits.append(wait_of(row))
        clock.pass_s(waits[-1])
        assert row.is_due()
    assert waits[0] < 0.2
    assert waits[5] > 10 * waits[0]
    die(row, lived_s=rows.STEADY_S + 1)
    assert wait_of(row) < 0.2


def test_after_repeated_deaths_it_is_tried_only_now_and_then(clock):
    row = make_row(clock)
    for death in range(1, rows.QUARANTINE_DEATHS + 1):
        die(row)
        state = row.report().state
        assert (state is ProcessState.QUARANTINED) == (death == rows.QUARANTINE_DEATHS)
        clock.pass_s(0.1)
    assert not row.is_due()
    assert wait_of(row) > rows.QUARANTINE_S / 2
    clock.pass_s(rows.QUARANTINE_S)
    assert row.is_due()


def test_a_needed_process_is_never_quarantined(clock):
    row = make_row(clock, needed=True)
    for _ in range(3 * rows.QUARANTINE_DEATHS):
        die(row)
        assert wait_of(row) <= rows.RESTART_CAP_S * 1.3


def test_deaths_far_apart_are_no_reason_for_quarantine(clock):
    row = make_row(clock)
    for _ in range(3 * rows.QUARANTINE_DEATHS):
        die(row, lived_s=61.0)
        assert row.report().state is ProcessState.WAITING


def test_a_restart_on_purpose_waits_for_nothing_and_counts_as_no_death(clock):
    row = make_row(clock)
    start(row)
    row.restart_on_purpose()
    row.exited(signal.SIGTERM, 0.0)
    assert row.is_due()
    assert row.report().restarts == 0


def test_it_is_silent_without_beats_or_with_a_part_that_stands_still(clock):
    row = make_row(clock, silent_s=20.0)
    start(row)
    clock.pass_s(30.0)
    assert not row.is_silent()  # a slow board may take long to load
    clock.pass_s(11.0)
    assert row.is_silent()
    row.heard(Beat(ages_s={"main": 1.0}))
    assert row.is_well()
    row.heard(Beat(ages_s={"main": 1.0, "sub": 21.0}))
    assert row.is_silent()
    assert not row.is_well()
    row.heard(Beat(ages_s={}))
    clock.pass_s(21.0)
    assert row.is_silent()


def test_a_start_that_was_cut_short_may_take_twice_as_long_the_next_time(clock):
    """A slow machine would be killed at the same point for ever; one that hangs is still killed."""
    row, allowed_s = make_row(clock, needed=True), []
    for _ in range(6):
        start(row)
        assert row.starts_slowly is bool(allowed_s)
        began_s = clock.monotonic_s()
        while not row.is_silent():
            clock.pass_s(1.0)
        allowed_s.append(clock.monotonic_s() - began_s - 1.0)
        assert row.kill()
        assert not row.kill()
        row.exited(signal.SIGKILL, 0.5)
        assert not row.starts_slowly
    assert allowed_s == [40.0, 80.0, 160.0, 320.0, 320.0, 320.0]
    start(row)
    row.heard(Beat(ages_s={}))
    clock.pass_s(21.0)
    assert row.is_silent()  # once it runs it has no longer than any other
    assert not row.starts_slowly


def test_every_way_to_die_has_words(clock):
    for number in range(1, 65):
        row = make_row(clock)
        start(row)
        row.exited(number, 0.0)
        assert row.last_exit.startswith("killed by")


def test_a_camera_may_stall_as_long_as_its_settings_say_before_its_worker_is_called_silent():
    for stall_s in (2.0, 60.0):
        camera = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/", stall_s=stall_s)
        row = process_table(Settings(cameras=(camera,)))[0]
        assert row.silent_s > stall_s + 10.0
