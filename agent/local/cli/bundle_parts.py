"""What goes into the diagnostic bundle: each part a name and how it is had, most telling first.

Of a person who may see some cameras alone, the others' parts stay out, and so do logs and audit,
where they are named.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agent.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.core.clock import Clock
    from agent.local.cli.box_in_reach import Box

Part = tuple[str, Callable[[], Any]]

_GAP_DAYS, _HEALTH_RECORDS, _EVENTS, _AUDIT = 7, 200, 300, 300
_LOG_LINES: Final = 30_000
_UNITS: Final = ("poleside", "poleside-update", "poleside-smart", "poleside-data", "chrony")


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom the parts are asked of. `cameras` None: all of them may be seen."""

    box: Box
    clock: Clock
    cameras: frozenset[str] | None = None
    log: Path | None = None
    dumps_cameras: bool = True

    def sees(self, camera_id: str | None) -> bool:
        """Say whether a camera's things may be in it."""
        return self.cameras is None or camera_id in self.cameras


def json_parts(at: Sources) -> Iterator[Part]:
    """Yield the parts that are JSON."""
    from agent.local.cli.board_report import report_of, selftest_of
    from hardware.pick import pick_board

    data_dir = at.box.data_dir
    report = report_of(pick_board(), data_dir)
    yield "about.json", lambda: _about(at)
    yield "state.json", lambda: state(at)
    yield "board.json", lambda: report
    yield "selftest.json", lambda: list(selftest_of(report))
    yield "settings.json", lambda: _settings(at)
    yield "cameras.json", lambda: _cameras(at)
    yield "buffer.json", lambda: _buffer(at)
    yield "gaps.json", lambda: _gaps(at)
    yield "link.json", lambda: _link(at)
    yield "events.json", lambda: _events(at)
    yield "disk.json", lambda: _disk(data_dir)
    if at.cameras is None:
        yield "settings-history.json", lambda: _settings_history(at)
        yield "audit.json", lambda: _audit(at)
        yield "health-history.json", lambda: _health_history(at)
    if at.dumps_cameras and at.box.is_running():
        for camera_id in _camera_ids(at):
            yield f"cameras/{camera_id}.json", partial(_dump, at, camera_id)


def text_parts(at: Sources) -> Iterator[Part]:
    """Yield the parts that are text."""
    yield "packages.txt", _packages
    if at.cameras is not None:
        return
    if at.log is not None:
        yield "log.txt", at.log.read_text
    else:
        yield "log.txt", _journal
    yield "kernel.txt", lambda: _run("journalctl", "-k", "-n", "3000", "--no-pager", "-o", "short")
    yield "network.txt", lambda: _run("ip", "-details", "address")


def _about(at: Sources) -> Any:
    from agent import __version__

    about = {
        "made_at": at.clock.utc_now(),
        "time_quality": at.clock.quality(),
        "poleside": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "up_s": round(at.clock.monotonic_s()),
        "agent_runs": at.box.is_running(),
        "cameras": "all" if at.cameras is None else sorted(at.cameras),
    }
    with_os = Path("/etc/os-release")
    return about | ({"os": with_os.read_text("utf-8")} if with_os.is_file() else {})


def state(at: Sources) -> Any:
    """Return the front page as far as it may be told."""
    from agent.commands.questions import AskState
    from agent.local.web.view import WORKER

    told = at.box.ask(AskState(), dict)
    told["cameras"] = [one for one in told["cameras"] if at.sees(one["camera_id"])]
    told["processes"] = [
        one
        for one in told["processes"]
        if not one["name"].startswith(WORKER) or at.sees(one["name"].removeprefix(WORKER))
    ]
    told["faults"] = [
        one for one in told["faults"] if not one.get("camera_id") or at.sees(one["camera_id"])
    ]
    return told


def _settings(at: Sources) -> Any:
    from agent.commands.questions import AskSettings
    from agent.local.cli.present_settings import present
    from agent.settings import load

    if at.box.is_running():
        settings = at.box.ask(AskSettings(), dict)
    elif at.box.config is not None:
        settings = msgspec.to_builtins(present(at.box.config))
    else:
        local, desired = load.read_local(at.box.data_dir), load.read_desired(at.box.data_dir)
        settings = {"local": local, "desired": desired}
        if at.cameras is not None:
            return {}
    if "cameras" in settings:
        settings["cameras"] = [one for one in settings["cameras"] if at.sees(one["camera_id"])]
    return settings


def _settings_history(at: Sources) -> Any:
    from agent.settings import history

    versions = history.versions(at.box.data_dir)
    return [
        {"version": new.number, "at": new.at, "by": new.by, "changed": history.between(old, new)}
        for old, new in pairwise(versions)
    ]


def _cameras(at: Sources) -> Any:
    from agent.commands.questions import AskCameras

    known = at.box.ask(AskCameras(), dict)
    return {camera_id: facts for camera_id, facts in known.items() if at.sees(camera_id)}


def _dump(at: Sources, camera_id: str) -> Any:
    from agent.commands.questions import AskDump

    return at.box.ask(AskDump(camera_id), dict)


def _camera_ids(at: Sources) -> list[str]:
    folder = at.box.data_dir / "onvif"
    return sorted(path.stem for path in folder.glob("*.json") if at.sees(path.stem))


def _folders(at: Sources) -> list[Path]:
    from agent.buffer import report

    return [one for one in report.cameras_in(at.box.data_dir) if at.sees(one.name)]


def _buffer(at: Sources) -> Any:
    from agent.buffer import report

    now = at.clock.utc_now()
    return [report.camera_buffer(folder, now) for folder in _folders(at)]


def _gaps(at: Sources) -> Any:
    from agent.buffer import ledger, reading

    until = at.clock.utc_now()
    since, day = until - timedelta(days=_GAP_DAYS), until - timedelta(days=1)
    return {
        folder.name: {
            "gaps": [asdict(gap) for gap in reading.gaps(folder, since, until)],
            "last_24_h": asdict(ledger.sum_up(folder, day, until)),
        }
        for folder in _folders(at)
    }


def _link(at: Sources) -> Any:
    from agent.commands.config_state import state_in
    from agent.local.cli.link import read_box
    from agent.outbox.reading import streams
    from agent.uplink.link_report import read_report
    from agent.uploads import reading as uploads

    def question(connection: Any) -> dict[str, Any]:
        state = state_in(connection)
        return {
            "outbox": streams(connection),
            "uploads": uploads.report(connection),
            "settings_version": state.version,
            "settings_status": state.status,
        }

    found: dict[str, Any] = read_box(at.box.data_dir, question)
    return found | {"link": read_report(at.box.data_dir / "run")}


def _health_history(at: Sources) -> Any:
    def question(connection: Any) -> list[Any]:
        rows = connection.execute(
            "SELECT body FROM outbox_t WHERE CAST(body AS TEXT) LIKE '%health%'"
            " ORDER BY seq DESC LIMIT ?",
            (_HEALTH_RECORDS,),
        )
        return [msgspec.json.decode(row["body"]) for row in rows]

    return _read(at.box.data_dir, question)


def _events(at: Sources) -> Any:
    from agent.events import reading

    found = _read(at.box.data_dir, lambda connection: reading.latest(connection, _EVENTS))
    return [asdict(one) for one in found if at.sees(one.camera_id)]


def _audit(at: Sources) -> Any:
    from agent.outbox.audit import audit_tail

    return _read(at.box.data_dir, lambda connection: audit_tail(connection, _AUDIT))


def _read(data_dir: Path, question: Callable[[Any], Any]) -> Any:
    from agent.local.cli.link import read_box

    return read_box(data_dir, question)


def _disk(data_dir: Path) -> Any:
    import psutil

    usage = [
        {"mount": one.mountpoint, "type": one.fstype, "options": one.opts, "device": one.device}
        for one in psutil.disk_partitions(all=False)
    ]
    counters = psutil.disk_io_counters(perdisk=True)
    space = psutil.disk_usage(str(data_dir)) if data_dir.exists() else None
    return {
        "mounts": usage,
        "data": space._asdict() if space else None,
        "io": {name: one._asdict() for name, one in (counters or {}).items()},
    }


def _packages() -> str:
    found = {(one.name or "?", one.version or "?") for one in importlib.metadata.distributions()}
    return "\n".join(f"{name} {version}" for name, version in sorted(found))


def _journal() -> str:
    units = [word for unit in _UNITS for word in ("-u", unit)]
    return _run("journalctl", *units, "-n", str(_LOG_LINES), "--no-pager", "-o", "cat")


def _run(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands of ours
            command, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StorageError("bundle.no_tool", f"`{command[0]}` can't be run: {error}.") from error
    told, said = (text.decode("utf-8", errors="replace") for text in (done.stdout, done.stderr))
    if done.returncode and not told.strip():
        raise StorageError("bundle.no_tool", f"`{command[0]}` told nothing: {said.strip()[:200]}.")
    return told + said
