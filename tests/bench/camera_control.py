"""The cost of the cameras' control side, in one run: `python -m tests.bench.camera_control`.

A PTZ command against a bare POST of the same body, each further camera, eight cameras in a storm of
events, the others beside a black hole, reconnecting again and again, a Stop while another call
hangs. Asserts nothing about figures.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click
import psutil
import requests

from agent.cameras.event_feed import EventFeed
from agent.cameras.gate import CameraGate
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraFailure, Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.commands.ptz_lease import Leases
from agent.contract.commands import Actor, Command
from agent.contract.ptz_args import PtzStop
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from tests.bench.figures import say
from tests.simulated_onvif import LOGIN, black_hole, eventually, running_camera

_CLOCK = SystemClock()
_MOVE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    '<ContinuousMove xmlns="http://www.onvif.org/ver20/ptz/wsdl"><ProfileToken>main</ProfileToken>'
    '<Velocity><PanTilt xmlns="http://www.onvif.org/ver10/schema" x="0.1" y="0"/></Velocity>'
    "<Timeout>PT1S</Timeout></ContinuousMove></s:Body></s:Envelope>"
)


@contextmanager
def cameras(
    count: int, events_per_s: float = 0.0, hangs_s: float = 0.0
) -> Iterator[tuple[list[str], TextIO]]:
    """Give their addresses, and what they say later."""
    arguments = map(str, (count, events_per_s, hangs_s))
    command = [sys.executable, "-m", "tests.bench.onvif_cameras", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield (
                [line.strip() for line in iter(process.stdout.readline, "ready\n")],
                process.stdout,
            )
        finally:
            process.kill()


def move(url: str, calls: int) -> None:
    control = ZeepCamera(url, Login(), _CLOCK)
    control.facts()
    ptz = url.replace("device_service", "ptz_service")
    with requests.Session() as bare:
        bare.trust_env = False

        def post() -> None:
            head = {"Content-Type": "application/soap+xml; charset=utf-8"}
            bare.post(ptz, data=_MOVE, headers=head, timeout=5).raise_for_status()

        ours, theirs = [], []
        for _ in range(calls):  # in turn, so that load falls on both
            ours.append(_took_ms(lambda: control.move(0.1, 0.0, 0.0, 1.0)))
            theirs.append(_took_ms(post))
    control.close()
    mine, floor = statistics.median(ours), statistics.median(theirs)
    name = f"a move, p50 ({mine:.2f} ms, bare POST {floor:.2f} ms)"
    ratio = mine / floor
    say(name, f"{ratio:.2f} x", "<= 2.5 x", is_met=ratio <= 2.5)


def further(urls: list[str]) -> None:
    process, controls, cpu_s, rss = psutil.Process(), [], [], []
    for url in urls:
        began_s, before = time.process_time(), process.memory_info().rss
        control = ZeepCamera(url, Login(), _CLOCK)
        control.facts()
        control.profiles()
        cpu_s.append(time.process_time() - began_s)
        rss.append(process.memory_info().rss - before)
        controls.append(control)
    for control in controls:
        control.close()
    one_s, one_mb = statistics.mean(cpu_s[1:]), statistics.mean(rss[1:]) / 1e6
    first = f"first {cpu_s[0]:.2f} s, {rss[0] / 1e6:.0f} MB"
    say(f"CPU of a further camera ({first})", f"{one_s:.4f} s", "<= 0.02 s", is_met=one_s <= 0.02)
    say("memory of a further camera", f"{one_mb:.2f} MB", "<= 4 MB", is_met=one_mb <= 4)


def storm(urls: list[str], seconds: float) -> None:
    heard = [0]

    def deliver(messages: tuple[object, ...]) -> None:
        heard[0] += len(messages)

    feeds = [EventFeed(OnvifLine(url, Login(), _CLOCK), _CLOCK, deliver) for url in urls]
    polled = [ZeepCamera(url, Login(), _CLOCK) for url in urls[:2]]
    for control in polled:
        control.facts()
    for feed in feeds:
        feed.start()
    time.sleep(1.0)
    heard[0], began_s, until_s = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until_s:
        for control in polled:
            control.position()
        time.sleep(0.2)
    share = (time.process_time() - began_s) / seconds
    for feed in feeds:
        feed.stop()
    rate = f"{heard[0] / seconds:.0f} events/s from {len(urls)}"
    name = f"share of a core ({rate}, 2 x 5 Hz status)"
    say(name, f"{share:.1%}", "<= 10 %", is_met=share <= 0.1)


async def beside_a_black_hole(urls: list[str], calls: int) -> None:
    gates = [CameraGate(_maker(url), _CLOCK) for url in urls]
    for gate in gates:
        await gate.facts()
    with black_hole() as nowhere:
        dead = CameraGate(_maker(nowhere), _CLOCK)
        alone, beside = [], []
        for _ in range(4):  # in turn, so that load falls on both
            alone += await _positions(gates, calls // 4)
            asking = asyncio.ensure_future(dead.facts())
            beside += await _positions(gates, calls // 4)
            asking.cancel()
            with suppress(asyncio.CancelledError, CameraFailure):
                await asking
        await dead.close()
    for gate in gates:
        await gate.close()
    both = [statistics.quantiles(times, n=20)[-1] for times in (alone, beside)]
    change = both[1] / both[0] - 1
    name = f"p95 beside a black hole ({both[0]:.1f} -> {both[1]:.1f} ms)"
    say(name, f"{change:+.0%}", "< +20 %", is_met=change < 0.2)


async def stop_beside_a_hanging_call(url: str, said: TextIO, runs: int) -> None:
    """From the loss of the holder's link to the Stop at the camera, which answers another call."""
    gate, is_linked = CameraGate(_maker(url), _CLOCK, answer_s=60.0), [True]
    leases = Leases(_CLOCK, lambda _: gate, lambda: is_linked[0])
    await gate.move(0.1, 0.0, 0.0, 60.0)  # it is connected, as after any first minute
    await gate.stop()
    took_ms, hung_through = [], 0
    for _ in range(runs):
        is_linked[0] = True
        lease = leases.claim(_order(), "gate", "operator", 5, 120.0)
        async with leases.held(lease):
            await gate.move(0.1, 0.0, 0.0, 60.0)
            hanging, answered_s = asyncio.create_task(gate.facts()), []
            hanging.add_done_callback(lambda _, at=answered_s: at.append(time.monotonic()))
            ending = asyncio.create_task(leases.until_ended(lease))
            await _CLOCK.sleep_s(0.2 + random.random() / 10)
            lost_s, is_linked[0] = time.monotonic(), False
            await ending
        arrived_s = 0.0
        while arrived_s < lost_s:  # a move's own end is said as well
            arrived_s = float((await asyncio.to_thread(said.readline)).split()[1])
        took_ms.append((arrived_s - lost_s) * 1000)
        await hanging
        hung_through += answered_s[0] > arrived_s
    await gate.close()
    p95 = statistics.quantiles(took_ms, n=20)[-1]
    name = f"Stop beside a hanging call, p95 of {runs} (p50 {statistics.median(took_ms):.0f} ms,"
    name = f"{name} most {max(took_ms):.0f} ms)"
    say(name, f"{p95:.0f} ms", "<= 250 ms", is_met=p95 <= 250 and hung_through == runs)


async def after_a_reboot(times: int, long_s: float) -> None:
    """From a camera answering again to its first event here, with one subscription at the end.

    The last time it is away for long, so that it is asked as seldom as ever.
    """
    heard: list[object] = []
    took_s = []
    async with running_camera() as device:
        feed = EventFeed(OnvifLine(device.url, LOGIN, _CLOCK), _CLOCK, heard.extend)
        feed.start()
        await eventually(lambda: feed.status.is_live)
        for away_s in (*[3.0] * (times - 1), long_s):
            device.reboot(away_s, new_epr=True)
            await eventually(lambda: not device.ready.is_set(), 60)
            await eventually(device.ready.is_set, 60)
            back_s, before = time.monotonic(), len(heard)
            while len(heard) == before:
                device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
                await _CLOCK.sleep_s(0.05)
            took_s.append(time.monotonic() - back_s)
            assert len(device.events.live(device.now())) == 1
        await asyncio.to_thread(feed.stop, 20.0)
    name = f"events after a reboot, most of {times} (median {statistics.median(took_s):.1f} s)"
    say(name, f"{max(took_s):.1f} s", "<= 15 s", is_met=max(took_s) <= 15)


def _order() -> Command:
    at, by = _CLOCK.utc_now(), Actor(user="bench")
    args = PtzStop(camera_id="gate")
    return Command(id=new_ulid(at), args=args, box="b", by=by, iat=0, nbf=0, exp=0, iss="c")


def reconnect(url: str, times: int) -> None:
    process = psutil.Process()
    _connect(url, times // 10)
    fds, rss = process.num_fds(), process.memory_info().rss
    _connect(url, times)
    grown = (process.memory_info().rss - rss) / 1e6
    more = process.num_fds() - fds
    say(f"{times} reconnects: file descriptors", f"{more:+d}", "flat", is_met=more <= 0)
    say(f"{times} reconnects: memory", f"{grown:+.1f} MB", "flat", is_met=grown < 1)


def _connect(url: str, times: int) -> None:
    for _ in range(times):
        line = OnvifLine(url, Login(), _CLOCK)
        line.services()
        line.close()


async def _positions(gates: list[CameraGate], calls: int) -> list[float]:
    took = []
    for _ in range(calls):
        began_s = time.perf_counter()
        await asyncio.gather(*(gate.position() for gate in gates))
        took.append((time.perf_counter() - began_s) * 1000)
    return took


def _maker(url: str) -> Callable[[], ZeepCamera]:
    return lambda: ZeepCamera(url, Login(), _CLOCK)


def _took_ms(call: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    call()
    return (time.perf_counter() - began_s) * 1000


@click.command()
@click.option("--calls", default=400, show_default=True)
@click.option("--seconds", default=15.0, show_default=True)
@click.option("--reconnects", default=1000, show_default=True)
@click.option("--stops", default=40, show_default=True)
@click.option("--reboots", default=6, show_default=True)
@click.option("--away", default=30.0, show_default=True, help="At the last reboot, in seconds.")
def main(
    calls: int, seconds: float, reconnects: int, stops: int, reboots: int, away: float
) -> None:
    """Measure, and say each figure with its bar."""
    with cameras(8) as (urls, _):
        further(urls)
        move(urls[0], calls)
        asyncio.run(beside_a_black_hole(urls[:4], calls))
        reconnect(urls[0], reconnects)
    with cameras(8, 10.0) as (urls, _):
        storm(urls, seconds)
    with cameras(1, hangs_s=2.0) as (urls, said):
        asyncio.run(stop_beside_a_hanging_call(urls[0], said, stops))
    asyncio.run(after_a_reboot(reboots, away))


if __name__ == "__main__":
    main()
