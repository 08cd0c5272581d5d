"""Runs one simulated camera: `python -m agent.simulators.camera --config FILE.json`."""

import asyncio
import contextlib
import sys
from pathlib import Path

import click
import msgspec

from agent.core import log
from agent.core.clock import SystemClock
from agent.core.errors import PolesideError
from agent.simulators.camera.simulated_camera import SimulatedCameraConfig, serve


@click.command()
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file with a SimulatedCameraConfig.",
)
def run(config_file: Path) -> None:
    """Be one simulated camera until ended."""
    log.configure("simulated-camera")
    try:
        config = msgspec.json.decode(config_file.read_bytes(), type=SimulatedCameraConfig)
    except msgspec.DecodeError as error:
        sys.exit(f"{config_file} is no camera configuration: {error}")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(serve(config, SystemClock()))
        except* (PolesideError, OSError) as errors:
            sys.exit("\n".join(str(error) for error in errors.exceptions))


if __name__ == "__main__":
    run()
