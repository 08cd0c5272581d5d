"""Simulated ONVIF cameras in a process of their own, so that their work is not counted as ours.

Arguments: how many, events a second of each, for how long "who are you" hangs. Prints their
addresses, one a line, then "ready"; later "stop" and the moment (monotonic) each time one stops.
"""

import asyncio
import sys
import time

from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_device import OnvifDevice
from agent.simulators.camera.onvif_settings import OnvifDeviceConfig
from agent.simulators.camera.ptz_motor import PtzMotor


class ToldMotor(PtzMotor):
    """Says when it is stopped."""

    def stop(self) -> None:
        sys.stdout.write(f"stop {time.monotonic()}\n")
        sys.stdout.flush()
        super().stop()


async def serve(count: int, events_per_s: float, hangs_s: float) -> None:
    clock = SystemClock()
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            config = OnvifDeviceConfig(username="", serial=f"SIM-{number}")
            device = OnvifDevice(config, ToldMotor(clock), clock)
            device.faults.storm_per_s = events_per_s
            if hangs_s:
                device.faults.slow_s = {"GetDeviceInformation": hangs_s}
            tasks.create_task(device.serve())
            await device.ready.wait()
            sys.stdout.write(f"{device.url}\n")
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
