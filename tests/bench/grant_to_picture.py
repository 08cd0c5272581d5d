"""From a grant to its first picture at the relay: `python -m tests.bench.grant_to_picture`.

Box, camera and broker are processes of their own; the center and the relay are here. Beside it, in
the same run: the camera opened anew by libav, as who asks it directly must.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import av
import click

from agent.contract.commands import EndGrant
from agent.core.clock import SystemClock
from tests.bench.figures import say
from tests.brokers import Mosquitto
from tests.faults.test_grant_to_relay import TOKEN, scene
from tests.spine import ADDRESS, eventually

CLOCK = SystemClock()
# libav would else look at two seconds of video before it decodes any
TCP = {"rtsp_transport": "tcp", "analyzeduration": "100000", "fpsprobesize": "0"}


@click.command()
@click.option("--rounds", type=click.IntRange(3), default=20, show_default=True)
def main(rounds: int) -> None:
    """Print p50 and p95 in seconds, and the ratio to opening the camera anew."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), rounds))


async def measure(folder: Path, rounds: int) -> None:
    broker = Mosquitto(folder / "broker", [ADDRESS])
    await broker.start()
    at_relay, through_relay, anew = [], [], []
    try:
        async with scene(folder, broker) as here:
            here.relay.admits = lambda token: token in ("", TOKEN)
            for _ in range(rounds):
                grant, began_s = here.grant(), CLOCK.monotonic_s()
                player = asyncio.create_task(asyncio.to_thread(decoded, here.relay.url()))
                await here.give(grant)

                async def came(began_s=began_s):
                    arrived = here.relay.publication()
                    first_s = None if arrived is None else arrived.first_frame_mono_s
                    return first_s is not None and first_s > began_s

                await eventually(came)
                at_relay.append(here.relay.publication().first_frame_mono_s - began_s)
                through_relay.append(await player - began_s)
                await here.order(EndGrant(grant_id=grant.id))
                await here.nothing_comes()
                began_s = CLOCK.monotonic_s()
                login = f"{here.camera.username}:{here.camera.password}"
                url = f"rtsp://{login}@127.0.0.1:{here.camera.rtsp_port}/main"
                anew.append(await asyncio.to_thread(decoded, url) - began_s)
    finally:
        await broker.stop()
    for name, times, bar in (
        ("grant -> first decodable frame at the relay", at_relay, "<= 0.5 s"),
        ("grant -> decoded by a player of the relay", through_relay, "<= 1.5 s"),
        ("camera opened anew -> decoded", anew, ""),
    ):
        p95 = sorted(times)[int(0.95 * (len(times) - 1))]
        say(f"{name}, p50", f"{statistics.median(times):.3f} s")
        say(f"{name}, p95", f"{p95:.3f} s", bar)
    ratio = statistics.median(at_relay) / statistics.median(anew)
    say("grant -> relay / camera opened anew, p50", f"{ratio:.2f} x")


def decoded(url: str) -> float:
    """Try until there is a picture; return when that was."""
    until_s = CLOCK.monotonic_s() + 30.0
    while True:
        try:
            with av.open(url, options=TCP, timeout=(5, 5)) as container:
                next(container.decode(video=0))
                return CLOCK.monotonic_s()
        except av.FFmpegError:
            if CLOCK.monotonic_s() > until_s:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    main()
