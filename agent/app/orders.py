"""Which orders this box can carry out, and by whom: one line each."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.app.run_dir import run_dir
from agent.app.sight import Sight
from agent.app.voice import Voice
from agent.commands.aim import AimHandler
from agent.commands.bundle import DEADLINE_S as BUNDLE_DEADLINE_S
from agent.commands.bundle import BundleHandler
from agent.commands.camera_orders import CameraOrders
from agent.commands.clip import DEADLINE_S as CLIP_DEADLINE_S
from agent.commands.clip import ClipHandler
from agent.commands.config import ConfigHandler
from agent.commands.lock import LockHandler
from agent.commands.output import OutputHandler
from agent.commands.ping import ping
from agent.commands.ptz import PtzHandler
from agent.commands.ptz_orders import PtzOrders
from agent.commands.relay import RelayHandler
from agent.commands.renew import renew
from agent.commands.replay import replay
from agent.commands.search import WATCH_DEADLINE_S, SearchHandler
from agent.commands.sign import SignHandler
from agent.commands.snapshot import SnapshotHandler
from agent.commands.talk import DEADLINE_S as TALK_DEADLINE_S
from agent.commands.talk import TalkHandler
from agent.commands.upload_urls import UploadUrlsHandler
from agent.commands.verdict import VerdictHandler
from agent.core.clock import Clock
from agent.core.db import Database
from agent.local.service.command import run_command
from agent.settings.load import data_dir_of
from agent.settings.model import Settings


def register_orders(
    sight: Sight,
    voice: Voice,
    renew_now: Callable[[], bool],
    db: Database,
    settings: Callable[[], Settings],
    clock: Clock,
) -> None:
    """Tell the commands every operation: its handler, deadline, and whether repeating is harmless.

    `renew_now` asks the center for the box's papers at once.
    """
    data_dir = data_dir_of(settings())
    hub, files, leases = sight.hub, voice.uploads, voice.leases
    desk = voice.audit_desk
    ptz = PtzHandler(
        voice.gates,
        leases,
        lambda op, actor, outcome, detail: desk.note(op, actor, outcome, detail=detail),
    )
    register = voice.commands.register
    register("ping", ping(clock), idempotent=True)
    register("snapshot", SnapshotHandler(hub, clock, files), idempotent=True)
    clip = ClipHandler(data_dir, files, voice.commands.resting)
    register("clip", clip, idempotent=True, deadline_s=CLIP_DEADLINE_S, lasts=True, rests=False)
    register("upload.urls", UploadUrlsHandler(files), idempotent=True)
    bundle = BundleHandler(partial(_make_bundle, data_dir), files)
    register("bundle", bundle, idempotent=True, deadline_s=BUNDLE_DEADLINE_S, lasts=True)
    for op in ("lock", "unlock"):
        register(op, LockHandler(hub), idempotent=True, deadline_s=20.0)
    register("ptz.move", ptz, idempotent=False, deadline_s=30.0, lasts=True)
    register("ptz.stop", ptz, idempotent=True, deadline_s=15.0, lasts=True)
    register("ptz.lease", leases.lease, idempotent=False, deadline_s=150.0, lasts=True)
    register("ptz.release", leases.release, idempotent=True, lasts=True)
    held = PtzOrders(voice.gates, leases, clock)
    for op in ("ptz.goto", "ptz.presets", "ptz.imaging", "ptz.aux"):
        register(op, held, idempotent=False)
    aim = AimHandler(voice.aimer, leases)
    register("camera.aim", aim, idempotent=False, deadline_s=150.0, lasts=True)
    search = SearchHandler(data_dir, clock)
    register("search", search, idempotent=True, deadline_s=WATCH_DEADLINE_S, lasts=True)
    register("replay", replay(sight.outbox), idempotent=True)
    _register_scene(register, sight, settings, voice.commands.at_grant_end)
    care = CameraOrders(voice.gates, sight.desk, leases, clock)
    register("camera.osd", care, idempotent=False)
    register("camera.masks", care, idempotent=False)
    register("camera.encoder", care, idempotent=True)
    register("camera.password", care, idempotent=False, deadline_s=60.0)
    register("camera.care", care, idempotent=False, deadline_s=180.0)
    verdicts = VerdictHandler(db, clock)
    register("verdict", verdicts, idempotent=True)
    register("nuisance", verdicts, idempotent=True)
    register("config", ConfigHandler(voice.desired), idempotent=True)
    register("enrol.renew", renew(renew_now), idempotent=True, deadline_s=60.0)


async def _make_bundle(data_dir: Path, out: Path, by: str) -> bytes:
    return await run_command("bundle", "--data-dir", str(data_dir), "--out", str(out), f"--by={by}")


def _register_scene(
    register: Callable[..., None],
    sight: Sight,
    settings: Callable[[], Settings],
    at_grant_end: list[Callable[[str], None]],
) -> None:
    """What is switched, said and written at the scene."""
    outputs, signs = OutputHandler(sight.pole.outputs), SignHandler(sight.pole.signs)
    relays = RelayHandler(sight.desk.relays)
    at_grant_end += [outputs.grant_ended, signs.grant_ended, relays.grant_ended]
    register("output", outputs, idempotent=False)
    register("sign", signs, idempotent=False)
    talk = TalkHandler(settings, run_dir(settings()) / "lines")
    register("talk", talk, idempotent=False, deadline_s=TALK_DEADLINE_S, lasts=True)
    register("relay", relays, idempotent=False, deadline_s=20.0)
