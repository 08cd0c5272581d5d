"""Runs in a network of its own: a box whose way to the broker goes over fibre, LTE and back.

`unshare --user --map-root-user --net python line_changes.py FOLDER`; prints what the link said.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import msgspec

from agent.simulators.broker import free_port
from agent.uplink.carrier import CarrierWatch
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, eventually, running

BROKER = "10.9.9.9"
LINES = {"eth9": "10.1.1.1", "wwan9": "10.2.2.2"}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def take(line: str) -> None:
    """Let the system's routes lead over this line."""
    ip("route", "replace", "local", BROKER, "dev", "lo", "table", "local", "src", LINES[line])


def lay_lines() -> None:
    ip("link", "set", "lo", "up")
    for line, address in LINES.items():
        ip("link", "add", line, "type", "veth", "peer", "name", f"{line}p")
        ip("address", "add", f"{address}/32", "dev", line)
        ip("link", "set", line, "up")
    ip("address", "add", f"{BROKER}/32", "dev", "lo")


async def main(folder: Path) -> None:
    lay_lines()
    take("eth9")
    port = free_port()
    broker = Mosquitto(folder / "broker", [ADDRESS], f"listener {port} {BROKER}\n")
    await broker.start()
    settings = msgspec.structs.replace(
        broker.settings(ADDRESS.box), urls=(f"mqtt://{BROKER}:{port}",), link="auto"
    )
    box = Box(folder / "box", settings)
    box.others.append(CarrierWatch(box.clock, box.link))
    seen = []
    try:
        async with running(box):
            for line, kind in (("eth9", "wired"), ("wwan9", "lte"), ("eth9", "wired")):
                take(line)

                async def is_so(kind: str = kind) -> bool:
                    return box.link.status.connected and box.link.status.line == kind

                await eventually(is_so)
                client = box.link._client
                seen.append((kind, client._client.keepalive, box.economy._is_lte()))
    finally:
        await broker.stop()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
