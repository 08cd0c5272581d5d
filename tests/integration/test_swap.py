"""A new box takes over the place of an old one: same name, new key, and the old one is refused."""

import asyncio

import aiomqtt
import pytest

from agent.contract.topics import BoxAddress, Channel
from agent.simulators.center.enrolment import Registrar
from agent.uplink.certificate_refusal import certificate_refusal
from agent.uplink.endpoint import Endpoint, tls_context
from tests.enrolling import CLOCK, HOST, NewBox, TlsMosquitto, enrolment_service
from tests.spine import Box, eventually, make_center, running

POLE = BoxAddress("site-1", "bx-pole")


class City:
    """A center that enrols, and its broker."""

    def __init__(self, folder):
        self.folder, self.broker = folder, TlsMosquitto(folder / "broker")
        self.registrar = Registrar(folder / "center", CLOCK, (self.broker.url,))

    def approve(self, name, take_over=None):
        return self.registrar.approve(name, POLE.site, take_over)

    async def enrol(self, url, name, take_over=None):
        box = NewBox(self.folder / name, url, self.registrar.new_code(name), self.registrar)
        enrolling = asyncio.ensure_future(box.enrol(30.0))

        async def has_asked():
            return any(b.name == name and b.state == "asks" for b in self.registrar.boxes())

        await eventually(has_asked)
        self.approve(name, take_over)
        await enrolling
        return box

    def client(self, settings):
        return aiomqtt.Client(
            HOST, self.broker.port, tls_context=tls_context(settings), timeout=5.0
        )


@pytest.fixture
async def city(tmp_path):
    city = City(tmp_path)
    await city.broker.start(city.registrar)
    yield city
    await city.broker.stop()


async def say(box, count):
    for _ in range(count):
        await box.say()


async def test_events_of_both_boxes_are_stored_once_and_the_old_one_is_refused(city, tmp_path):
    center_settings = city.broker.center(city.registrar)
    async with (
        enrolment_service(city.registrar) as url,
        running(make_center(tmp_path / "center", center_settings)) as center,
    ):
        first = await city.enrol(url, POLE.box)
        old = Box(tmp_path / POLE.box, first.broker(), POLE)
        async with running(old):
            await say(old, 5)
            await old.all_acknowledged()

            second = await city.enrol(url, "bx-spare", take_over=POLE)
            assert second.files.read().box == POLE.box
            city.broker.reload()
            new = Box(tmp_path / "bx-spare", second.broker(), POLE)
            async with running(new):
                await say(new, 4)
                await new.all_acknowledged()
                connects = old.link.status.connects_total

                async def is_out():
                    return not old.link.status.connected and old.link.status.error is not None

                await eventually(is_out)
                await say(old, 3)
                settings = first.broker()
                endpoint = Endpoint.parse(city.broker.url)
                refusal = await asyncio.to_thread(certificate_refusal, endpoint, settings)
                assert refusal.code == "link.certificate_refused"
                assert "REVOKED" in refusal.message
                settings = second.broker()
                assert await asyncio.to_thread(certificate_refusal, endpoint, settings) is None
                await asyncio.sleep(1.0)  # several tries to get back in
                assert old.link.status.connects_total <= connects
                assert new.link.status.connected
                await say(new, 2)
                await new.all_acknowledged()

        (box,) = await center.boxes()
        counts = {s.epoch: (s.stored, s.missing) for s in box.streams if s.stream == "e"}
        assert counts == {old.outbox.epoch: (5, 0), new.outbox.epoch: (6, 0)}
        assert len(await center.events(100)) == 11


async def test_a_box_speaks_as_the_name_in_its_certificate_and_as_nobody_else(city):
    async with enrolment_service(city.registrar) as url:
        box = await city.enrol(url, POLE.box)
    settings = box.broker()
    async with city.client(city.broker.center(city.registrar)) as center:
        await center.subscribe("edge/1/+/+/up/+", 1)
        for address in (BoxAddress(POLE.site, "bx-other"), POLE):
            async with city.client(settings) as speaking:
                await speaking.publish(address.topic(Channel.EVENT), b"[]", 0)
        async with asyncio.timeout(10.0):
            first = await anext(aiter(center.messages))
    assert first.topic.value == POLE.topic(Channel.EVENT)


async def test_a_running_link_uses_the_renewed_certificate_at_its_next_connection(city, tmp_path):
    async with enrolment_service(city.registrar) as url:
        box = await city.enrol(url, POLE.box)
    voice = Box(tmp_path / "voice", box.broker(), POLE)
    box.files.certificate.rename(tmp_path / "kept.pem")
    async with running(voice):

        async def has_no_certificate():
            return voice.link.status.error is not None

        await eventually(has_no_certificate)
        assert voice.link.status.error.code == "link.tls"
        (tmp_path / "kept.pem").rename(box.files.certificate)
        await voice.link.connected()
