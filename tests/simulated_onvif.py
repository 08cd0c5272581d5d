"""A running simulated ONVIF camera for tests, on a free port, ended with the test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from agent.cameras.port import Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_device import OnvifDevice
from agent.simulators.camera.onvif_settings import OnvifDeviceConfig
from agent.simulators.camera.ptz_motor import PtzMotor

USERNAME, PASSWORD = "admin", 'pa:ss <word> & "more"'
LOGIN = Login(USERNAME, PASSWORD)


@asynccontextmanager
async def running_camera(**config: object) -> AsyncIterator[OnvifDevice]:
    clock = SystemClock()
    settings = {"username": USERNAME, "password": PASSWORD, **config}
    device = OnvifDevice(OnvifDeviceConfig(**settings), PtzMotor(clock), clock)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(device.serve())
        await device.ready.wait()
        try:
            yield device
        finally:
            serving.cancel()


def control_of(
    device: OnvifDevice, login: Login = LOGIN, *, call_s: float = 5.0, clock: object = None
) -> ZeepCamera:
    return ZeepCamera(device.url, login, clock or SystemClock(), call_s=call_s)


@contextmanager
def black_hole() -> Iterator[str]:
    """Give the ONVIF address of a camera that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/onvif/device_service"


class ShiftedClock(SystemClock):
    """The real clock, which a test can move on."""

    shift_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.shift_s


async def eventually(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait until something holds, patiently: the machine may be busy."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
