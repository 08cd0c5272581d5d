"""Which orders this box can carry out, and by whom: one line each."""

from pathlib import Path

from agent.app.worker_hub import WorkerHub
from agent.commands.clip import DEADLINE_S as CLIP_DEADLINE_S
from agent.commands.clip import ClipHandler
from agent.commands.config import ConfigHandler
from agent.commands.desired import DesiredConfig
from agent.commands.lock import LockHandler
from agent.commands.ping import ping
from agent.commands.ptz import PtzHandler
from agent.commands.ptz_lease import Leases
from agent.commands.registry import Commands
from agent.commands.replay import replay
from agent.commands.snapshot import SnapshotHandler
from agent.commands.upload_urls import UploadUrlsHandler
from agent.core.clock import Clock
from agent.outbox.writer import Outbox
from agent.uploads.sender import Uploads


def register_orders(
    commands: Commands,
    hub: WorkerHub,
    files: Uploads,
    config: DesiredConfig,
    outbox: Outbox,
    ptz: PtzHandler,
    leases: Leases,
    data_dir: Path,
    clock: Clock,
) -> None:
    """Tell `commands` every operation: its handler, its deadline, whether repeating is harmless."""
    register = commands.register
    register("ping", ping(clock), idempotent=True)
    register("snapshot", SnapshotHandler(hub, clock, files), idempotent=True)
    clip = ClipHandler(data_dir, files)
    register("clip", clip, idempotent=True, deadline_s=CLIP_DEADLINE_S)
    register("upload.urls", UploadUrlsHandler(files), idempotent=True)
    lock = LockHandler(hub)
    register("lock", lock, idempotent=True, deadline_s=20.0)
    register("unlock", lock, idempotent=True, deadline_s=20.0)
    register("ptz.move", ptz, idempotent=False, deadline_s=15.0)
    register("ptz.stop", ptz, idempotent=True, deadline_s=15.0)
    register("ptz.lease", leases.lease, idempotent=False, deadline_s=150.0, lasts=True)
    register("ptz.release", leases.release, idempotent=True)
    register("replay", replay(outbox), idempotent=True)
    register("config", ConfigHandler(config), idempotent=True)
