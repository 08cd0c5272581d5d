"""A box that packs its telemetry is understood by the center, beside one that does not."""

from agent.contract.topics import BoxAddress
from agent.simulators.broker import CENTER
from agent.uplink import coding
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, eventually, make_center, running

OTHER = BoxAddress("site-1", "box-2")


async def test_packed_and_plain_telemetry_are_both_understood(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS, OTHER])
    await broker.start()
    packing = Box(tmp_path / "one", broker.settings("box-1"))
    packing.telemetry._pack = coding.pack
    plain = Box(tmp_path / "two", broker.settings("box-2"), OTHER)
    center = make_center(tmp_path / "center", broker.settings(CENTER))
    async with running(center), running(packing), running(plain):

        async def both_are_known():
            views = await center.boxes()
            return len(views) == 2 and all(view.telemetry is not None for view in views)

        await eventually(both_are_known)
    await broker.stop()
