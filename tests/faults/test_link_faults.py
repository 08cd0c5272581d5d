"""A link that can't be is said in words a technician can act on, and heals by itself."""

import asyncio
import socket
import ssl

import msgspec
import pytest

from agent.contract.topics import BoxAddress, Channel
from agent.simulators.broker import CENTER, free_port
from agent.uplink.link import Outgoing
from tests.brokers import Mosquitto, make_broker
from tests.certificates import write_certificate
from tests.spine import ADDRESS, Box, eventually, make_center, running, stored

OTHER = BoxAddress("site-1", "box-2")


@pytest.fixture(params=["mosquitto", "nats"])
async def broker(request, tmp_path):
    broker = make_broker(request.param, tmp_path / "broker", [ADDRESS, OTHER])
    await broker.start()
    yield broker
    await broker.stop()


async def the_error(tmp_path, settings):
    """Return the first error a box's link meets."""
    box = Box(tmp_path, settings)

    async def has_error():
        return box.link.status.error is not None

    async with running(box):
        await eventually(has_error)
        return box.link.status.error


async def test_a_wrong_password_is_named(broker, tmp_path):
    settings = msgspec.structs.replace(broker.settings("box-1"), password="wrong")
    error = await the_error(tmp_path, settings)
    assert error.code == "link.refused_credentials"
    assert "broker.password" in error.hint


async def test_no_broker_at_the_address_is_named(tmp_path):
    settings = msgspec.structs.replace(
        Mosquitto(tmp_path, []).settings("box-1"), urls=(f"mqtt://127.0.0.1:{free_port()}",)
    )
    error = await the_error(tmp_path, settings)
    assert error.code == "link.unreachable"
    assert "broker.urls" in error.hint


async def test_an_address_that_is_none_is_named(tmp_path):
    settings = msgspec.structs.replace(
        Mosquitto(tmp_path, []).settings("box-1"), urls=("http://127.0.0.1",)
    )
    assert (await the_error(tmp_path, settings)).code == "link.bad_url"


async def test_a_refused_subscription_is_an_error(tmp_path):
    """The broker knows the user, but it is another box. (mosquitto grants it and sends nothing.)"""
    broker = make_broker("nats", tmp_path / "broker", [ADDRESS, OTHER])
    await broker.start()
    error = await the_error(tmp_path, broker.settings("box-2"))
    assert error.code == "link.not_allowed"
    await broker.stop()


async def test_one_dead_address_of_two_does_no_harm(broker, tmp_path):
    settings = broker.settings("box-1")
    urls = (f"mqtt://127.0.0.1:{free_port()}", *settings.urls)
    box = Box(tmp_path, msgspec.structs.replace(settings, urls=urls))
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        await box.say()
        await box.all_acknowledged()
        assert len(await stored(center)) == 1


@pytest.fixture
async def tls_broker(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    ca = write_certificate(folder, "ca")
    write_certificate(folder, "broker", ca)
    write_certificate(folder, "box-1", ca)
    write_certificate(folder, "stranger")
    extra = (
        f"cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
        "require_certificate true\n"
    )
    broker = Mosquitto(tmp_path / "broker", [ADDRESS], extra)
    await broker.start()
    yield broker, folder
    await broker.stop()


def over_tls(broker, user, folder, ca, certificate):
    return msgspec.structs.replace(
        broker.settings(user),
        urls=(f"mqtts://localhost:{broker.port}",),
        ca_file=str(folder / f"{ca}.pem"),
        cert_file=str(folder / f"{certificate}.pem"),
        key_file=str(folder / f"{certificate}.key"),
    )


async def test_mutual_tls_works(tls_broker, tmp_path):
    broker, folder = tls_broker
    box = Box(tmp_path, over_tls(broker, "box-1", folder, "ca", "box-1"))
    center = make_center(tmp_path, over_tls(broker, CENTER, folder, "ca", "box-1"))
    async with running(center), running(box):
        await box.say()
        await box.all_acknowledged()


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # paho drops it unclosed
async def test_a_broker_that_cannot_prove_itself_is_refused(tls_broker, tmp_path):
    broker, folder = tls_broker
    error = await the_error(tmp_path, over_tls(broker, "box-1", folder, "stranger", "box-1"))
    assert error.code == "link.tls"
    assert isinstance(error.__cause__.__context__, ssl.SSLError)


async def test_missing_certificate_files_are_named(tls_broker, tmp_path):
    broker, folder = tls_broker
    error = await the_error(tmp_path, over_tls(broker, "box-1", folder, "nowhere", "box-1"))
    assert error.code == "link.tls"
    assert "broker.ca_file" in error.hint


async def say_more_than_the_socket_takes(broker, settings, folder):
    """A stopped broker reads nothing; what its socket does not take is written once it goes on."""
    box = Box(folder, msgspec.structs.replace(settings, publish_timeout_s=60.0))
    message = Outgoing(ADDRESS.topic(Channel.EVENT), b"x" * 120_000)

    async with running(box):
        await box.link.connected()
        paho = box.link._client._client
        paho.socket().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        broker.pause()
        try:
            async with asyncio.TaskGroup() as tasks:
                while not paho.want_write():  # the broker's kernel may take megabytes
                    for _ in range(20):
                        tasks.create_task(box.link.publish(message))
                    await asyncio.sleep(0.1)
                broker.resume()
        finally:
            broker.resume()
        assert box.link.status.connects_total == 1


async def test_more_than_the_line_takes_at_once_waits_for_it(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        await say_more_than_the_socket_takes(broker, broker.settings("box-1"), tmp_path)
    finally:
        await broker.stop()


async def test_more_than_a_secure_line_takes_at_once_waits_for_it(tls_broker, tmp_path):
    broker, folder = tls_broker
    settings = over_tls(broker, "box-1", folder, "ca", "box-1")
    await say_more_than_the_socket_takes(broker, settings, tmp_path)
