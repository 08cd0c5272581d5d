"""From the frame that fulfils a rule to its message at the broker: p50 and p95, at 5 fps.

`python -m tests.bench.frame_to_broker` runs the whole box on simulated cameras in processes of
their own. Somebody walks into the zone every eight seconds of a looped film; each begins an
incident. The time is that of one machine's monotonic clock: in the message the moment at which the
frame had come in, here the moment at which a subscriber of the broker has the message.
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import click
import msgspec

from agent.contract.events import Event, Phase
from tests.bench import cameras as simulated
from tests.bench.clip import SUB, ready_clip
from tests.bench.systems import agent, broker

_EACH_ITS_OWN = ("alarms.merge_s = 0", "alarms.max_per_hour = 10000", "alarms.weather = 'off'")


async def listen(broker_url: str, seconds: float) -> list[float]:
    """Return the seconds each new alarm of this time took, however often it was sent."""
    address, taken = urlsplit(broker_url), dict[str, float]()
    assert address.hostname
    assert address.port
    async with aiomqtt.Client(address.hostname, address.port) as client:
        await client.subscribe("#", qos=1)
        began_s = time.monotonic()  # what was told before is told again later: no center acks it
        try:
            async with asyncio.timeout(seconds):
                async for message in client.messages:
                    now_s = time.monotonic()
                    try:
                        event = msgspec.json.decode(bytes(message.payload), type=Event)
                    except msgspec.MsgspecError:
                        continue  # no event: presence, telemetry
                    is_new = event.phase is Phase.NEW and event.mono >= began_s
                    if is_new and event.data.rule_id:
                        taken.setdefault(event.id, now_s - event.mono)
        except TimeoutError:
            return list(taken.values())
    return []


@click.command()
@click.option("--cameras", "count", default=2, show_default=True)
@click.option("--seconds", default=120.0, show_default=True)
def bench(count: int, seconds: float) -> None:
    """Measure; print p50, p95 and the longest."""
    with ExitStack() as stage:
        folder = Path(stage.enter_context(tempfile.TemporaryDirectory()))
        broker_url, _ = stage.enter_context(broker(folder))
        clip = ready_clip(folder)
        shown = stage.enter_context(simulated.cameras(count, clip, folder))
        place = folder / "agent"
        place.mkdir()
        stage.enter_context(agent(shown, place, broker_url, detect=True, box=_EACH_ITS_OWN))
        taken = asyncio.run(listen(broker_url, seconds))
    if len(taken) < 2:
        raise click.ClickException("fewer than two alarms came")
    p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
    click.echo(
        f"{len(taken)} alarms of {count} cameras at {SUB.fps} fps: frame to broker"
        f" p50 {statistics.median(taken):.3f} s, p95 {p95:.3f} s (bar 1.0), longest"
        f" three {', '.join(f'{one:.3f}' for one in sorted(taken)[-3:])} s"
    )


if __name__ == "__main__":
    bench()
