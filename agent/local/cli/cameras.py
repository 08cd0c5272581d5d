"""`poleside cameras`: find cameras, and speak with any of them, with or without a running agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.core.errors import PolesideError
from agent.local.cli.answer import show
from agent.local.cli.cameras_calibrate import calibrate
from agent.local.cli.cameras_care import CARE
from agent.local.cli.cameras_overlays import masks, osd
from agent.local.cli.cameras_ptz import ptz
from agent.local.cli.cameras_target import Target, target_options
from agent.local.cli.progress import working

if TYPE_CHECKING:
    from agent.cameras.camera_states import CameraHit
    from agent.cameras.discovery import FoundCamera
    from agent.cameras.notifications import Notification


@click.group()
def cameras() -> None:
    """Find ONVIF cameras, look at them, move them, hear them.

    ADDRESS is a host, host:port, or the whole address of a device service:

    \b
        poleside cameras discover
        poleside cameras probe 192.168.1.64 --user admin
        poleside cameras snapshot 192.168.1.64:8000 --user admin -o gate.jpg
        poleside cameras events https://cam-7.pole/ --user admin --password-file pw.txt

    A wrong password is tried once: most cameras lock a user out after a few. Discovery knows IPv4
    only; a camera at an IPv6 address can be named: http://[fd00::7]/.
    """


@cameras.command()
@click.option("--host", "hosts", multiple=True, help="Ask this address or subnet (10.0.0.0/24).")
@click.option("--interface", "interfaces", multiple=True, help="Own address to ask from; all.")
@click.option("--rtsp", "rtsp_host", default="", help="Try known RTSP paths of HOST[:PORT].")
@click.option("--maker", default="", help="With --rtsp: only this maker's paths.")
@click.option("--wait", default=3.0, show_default=True, help="Seconds to wait for answers.")
@click.option("--port", default=3702, show_default=True, hidden=True)
@click.option("--rtsp-port", default=554, show_default=True, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def discover(
    hosts: tuple[str, ...],
    interfaces: tuple[str, ...],
    rtsp_host: str,
    maker: str,
    wait: float,
    port: int,
    rtsp_port: int,
    *,
    as_json: bool,
) -> None:
    """Find cameras: by WS-Discovery on every interface, or by asking given hosts.

    No login is sent. Nothing found? The camera may sit in another VLAN (give --host), have
    discovery or ONVIF switched off, or know RTSP only: of single hosts that do not answer, known
    RTSP paths are tried (or give --rtsp).
    """
    from agent.cameras import discovery, identity
    from agent.core.clock import SystemClock

    if rtsp_host:
        _try_rtsp(rtsp_host, maker, as_json=as_json)
        return
    clock = SystemClock()
    try:
        with working("Searching", is_shown=not as_json):
            if hosts:
                found = discovery.probe_hosts(clock, hosts, wait_s=wait, port=port)
            else:
                own = interfaces or None
                found = discovery.probe(clock, interfaces=own, wait_s=wait, port=port)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    devices: dict[object, list[FoundCamera]] = {}
    for camera in found:
        devices.setdefault(identity.device_of(camera), []).append(camera)
    answer = [_found(*cameras) for cameras in devices.values()]
    lines = [
        f"{a['address']:15} {a['name'] or '-':24} {a['mac'] or '-':12} "
        + "  ".join((a["url"], *a["other_urls"]))
        for a in answer
    ]
    silent = {host for host in hosts if "/" not in host} - {camera.address for camera in found}
    for host in sorted(silent):
        streams = _streams_without_onvif(host, rtsp_port, maker)
        answer += streams
        lines += [f"{host:15} {s['maker'] + ', no ONVIF':24} {'-':12} {s['url']}" for s in streams]
    show(answer, lines or ["No camera answered."], as_json=as_json)


@cameras.command()
@target_options
def probe(target: Target, *, as_json: bool) -> None:
    """Log in and say who the camera is, what it can, and what about its streams is awkward."""
    from agent.cameras import care, inputs_outputs, media
    from agent.cameras.streams import choose

    line = target.line()
    try:
        identity = care.identity(line)
        profiles = media.profiles(line)
        main, sub = choose(tuple(profile.stream for profile in profiles))
        answer: dict[str, Any] = {
            "identity": identity,
            "url": line.link.device_url,
            "services": sorted(line.services()),
            "clock_ahead_s": line.link.measure_clock().ahead_s,
            "main": main.token if main else None,
            "sub": sub.token if sub else None,
            "profiles": [
                {
                    "profile": profile.stream,
                    "url": media.stream_url(line, profile.stream.token),
                    "warnings": media.warnings_of(profile),
                }
                for profile in profiles
            ],
            "can_move": any(profile.ptz_token for profile in profiles),
            "relays": inputs_outputs.relays(line),
            "inputs": inputs_outputs.digital_inputs(line),
        }
    finally:
        line.close()
    show(answer, _probe_lines(answer), as_json=as_json)


@cameras.command()
@target_options
def status(target: Target, *, as_json: bool) -> None:
    """Say whether the camera answers and lets us in, how its clock stands, where it looks."""
    control = target.control()
    answer: dict[str, Any] = {"ok": False}
    try:
        facts = control.facts()
        answer |= {"ok": True, "camera": facts}
        answer["clock_ahead_s"] = control.line.link.measure_clock().ahead_s
        answer["position"] = control.position() if facts.has_ptz else None
    finally:
        control.close()
    ahead_s, at = answer["clock_ahead_s"], answer["position"]
    lines = [
        f"camera    {facts.manufacturer} {facts.model}, firmware {facts.firmware}",
        f"serial    {facts.serial or '-'}",
        f"clock     {'not told' if ahead_s is None else f'{ahead_s:+.1f} s from ours'}",
    ]
    if at is not None:
        lines.append(
            f"looks at  pan {at.pan}, tilt {at.tilt}, zoom {at.zoom}; moving: {at.is_moving}"
        )
    show(answer, lines, as_json=as_json)


@cameras.command()
@target_options
@click.option("--profile", default="", help="Token of the profile; the main stream's.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
def snapshot(target: Target, profile: str, output: Path, *, as_json: bool) -> None:
    """Save the camera's own still picture; what is no JPEG or PNG is refused."""
    from agent.cameras import media
    from agent.cameras.streams import choose

    line = target.line()
    try:
        if not profile:
            main, _ = choose(tuple(p.stream for p in media.profiles(line)))
            profile = main.token if main else ""
        picture = media.snapshot(line, profile)
    finally:
        line.close()
    output.write_bytes(picture)
    answer = {"file": str(output), "bytes": len(picture), "profile": profile}
    show(answer, [f"{output}: {len(picture)} bytes"], as_json=as_json)


@cameras.command()
@target_options
@click.option("--seconds", default=30.0, show_default=True, help="How long to listen.")
@click.option("--filter", "topics", multiple=True, help="Topic tree, as tns1:Device/Trigger//.")
@click.option("--bell", "bells", multiple=True, help="Token of an input that is a bell; * for all.")
def events(
    target: Target,
    seconds: float,
    topics: tuple[str, ...],
    bells: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Listen to the camera's events, each as it is told and as the box would understand it."""
    import threading

    from agent.cameras.camera_states import CameraStates
    from agent.cameras.event_feed import EventFeed
    from agent.core.clock import wait_s

    states, clock = CameraStates(frozenset(bells)), target.clock

    def deliver(messages: tuple[Notification, ...]) -> None:
        for message in messages:
            hit = states.take(message, clock.monotonic_s())
            show(_event(message, hit), [_event_line(message, hit)], as_json=as_json)

    feed = EventFeed(target.line(), clock, deliver, topics=topics, pull_s=min(5.0, seconds))
    feed.start()
    wait_s(threading.Event(), seconds)
    feed.stop(target.timeout_s + 5.0)
    if not feed.status.pulls_total:
        code = feed.status.code or "camera.failed"
        raise PolesideError(code, "No events came.", hint="`poleside cameras probe` says more.")


@cameras.command()
@target_options
@click.argument("token", required=False, default="")
@click.option("--seconds", default=0.0, help="Switch it on for so long, at most 60.")
@click.option("--off", is_flag=True, help="Switch it off now.")
def relay(target: Target, token: str, seconds: float, *, off: bool, as_json: bool) -> None:
    """List relay outputs and inputs, or give one relay a pulse: a siren, a lamp, a door.

    The end of the pulse is sent by this command; it ends also when you press Ctrl-C.
    """
    import threading

    from agent.cameras import inputs_outputs
    from agent.core.clock import wait_s

    if seconds > 60 or seconds < 0 or (token and not (seconds or off)):
        raise click.BadParameter("give --seconds above 0 and at most 60, or --off")
    line = target.line()
    try:
        if not token:
            outputs, inputs = inputs_outputs.relays(line), inputs_outputs.digital_inputs(line)
            lines = [f"relay  {relay.token} ({relay.mode})" for relay in outputs]
            lines += [f"input  {given.token}" for given in inputs]
            show({"relays": outputs, "inputs": inputs}, lines, as_json=as_json)
            return
        try:
            if seconds and not off:
                inputs_outputs.set_relay(line, token, active=True)
                wait_s(threading.Event(), seconds)
        finally:
            inputs_outputs.set_relay(line, token, active=False)
    finally:
        line.close()
    show({"relay": token, "active": False}, [f"{token} is off"], as_json=as_json)


for command in (ptz, calibrate, osd, masks, *CARE):
    cameras.add_command(command)


def _try_rtsp(given: str, maker: str, *, as_json: bool) -> None:
    from agent.cameras.rtsp_paths import Answered, try_paths

    host, _, port = given.partition(":")
    tried = try_paths(host, int(port or 554), maker=maker)
    found = [t for t in tried if t.answered is not Answered.NOTHING]
    lines = [f"{t.answered.value:12} {t.maker:10} {t.stream:5} {t.path}" for t in found]
    show(found, lines or ["None of the known paths answered."], as_json=as_json)


def _streams_without_onvif(host: str, port: int, maker: str) -> list[dict[str, Any]]:
    """Return the known RTSP paths that a camera shows to anybody, or, failing those, asks for."""
    from agent.cameras.port import CameraUnreachable
    from agent.cameras.rtsp_paths import Answered, try_paths

    try:
        tried = [
            t for t in try_paths(host, port, maker=maker) if t.answered is not Answered.NOTHING
        ]
    except CameraUnreachable:
        return []
    shown = [t for t in tried if t.answered is Answered.STREAM] or tried
    return [
        {
            "address": host,
            "maker": t.maker,
            "stream": t.stream,
            "url": f"rtsp://{host}:{port}{t.path}",
            "answered": t.answered.value,
        }
        for t in shown
    ]


def _found(camera: FoundCamera, *others: FoundCamera) -> dict[str, Any]:
    """Tell of a camera, `others` being itself at its further addresses."""
    from agent.cameras.identity import identity_of

    seen = identity_of(camera)
    return {
        "address": camera.address,
        "url": camera.url,
        "name": camera.scope("name"),
        "hardware": camera.scope("hardware"),
        "mac": seen.macs[0] if seen.macs else "",
        "epr": camera.epr,
        "other_urls": [other.url for other in others],
    }


def _probe_lines(answer: dict[str, Any]) -> list[str]:
    who, ahead_s = answer["identity"], answer["clock_ahead_s"]
    lines = [
        f"camera    {who.maker} {who.model}, serial {who.serial or '-'}",
        f"at        {answer['url']}",
        f"known by  {who.epr or '-'}, MAC {', '.join(who.macs) or '-'}",
        f"clock     {'not told' if ahead_s is None else f'{ahead_s:+.1f} s from ours'}",
    ]
    for entry in answer["profiles"]:
        p = entry["profile"]
        role = {answer["main"]: "main", answer["sub"]: "sub"}.get(p.token, "-")
        size = f"{p.width_px}x{p.height_px}"
        lines.append(f"{role:9} {p.encoding} {size} {p.fps:g} fps, GOP {p.gop}  {entry['url']}")
        lines += [f"          note: {code}" for code in entry["warnings"]]
    moves = "move" if answer["can_move"] else "not move"
    count = f"{len(answer['relays'])} relays, {len(answer['inputs'])} inputs"
    lines.append(f"can       {moves}; {count}")
    return lines


def _event(message: Notification, hit: CameraHit | None) -> dict[str, Any]:
    return {
        "topic": message.topic,
        "source": dict(message.source),
        "data": dict(message.data),
        "operation": message.operation.value,
        "camera_at": message.camera_at,
        "means": None
        if hit is None
        else {"rule": hit.rule, "kind": hit.kind, "turn": hit.turn.name},
    }


def _event_line(message: Notification, hit: CameraHit | None) -> str:
    items = " ".join(f"{n}={v}" for n, v in message.source + message.data)
    means = "" if hit is None else f"  -> {hit.kind or hit.meaning} {hit.turn.name.lower()}"
    return f"{message.operation.value or '-':11} {message.topic}  {items}{means}"
