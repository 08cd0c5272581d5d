"""`poleside simulate`: simulated cameras for trials without the rest of the demo."""

import asyncio
import contextlib
from pathlib import Path

import click


@click.group()
def simulate() -> None:
    """Simulated cameras for trials. Each says that it is a simulator."""


@simulate.command()
@click.option("--main", "main_file", required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--sub", "sub_file", type=click.Path(exists=True, dir_okay=False))
@click.option("--rtsp-port", default=8554, show_default=True)
@click.option("--onvif-port", default=8080, show_default=True)
@click.option("--username", default="", help="Without one, no login is asked.")
@click.option("--password", default="", envvar="POLESIDE_CAMERA_PASSWORD")
@click.option("--faults-file", default="", help="JSON file with faults to switch while it runs.")
def camera(
    main_file: str,
    sub_file: str | None,
    rtsp_port: int,
    onvif_port: int,
    username: str,
    password: str,
    faults_file: str,
) -> None:
    """Serve MP4 files (H.264 or H.265) in a loop as a camera's main and sub stream.

    \b
    poleside simulate camera --main day.mp4 --sub day-small.mp4
    poleside run --camera rtsp://127.0.0.1:8554/main --broker mqtt://127.0.0.1
    """
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.simulators.camera.simulated_camera import SimulatedCameraConfig, serve

    log.configure("simulated-camera")
    config = SimulatedCameraConfig(
        name="simulated",
        rtsp_port=rtsp_port,
        onvif_port=onvif_port,
        username=username,
        password=password,
        main_views={"file": str(Path(main_file).resolve())},
        sub_views={"file": str(Path(sub_file or main_file).resolve())},
        ptz=True,
        faults_file=faults_file,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(config, SystemClock()))
