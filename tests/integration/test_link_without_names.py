"""A broker told by its address is reached while no name server answers, also over TLS."""

import ipaddress
import socket

import msgspec
import pytest

from agent.uplink.endpoint import Endpoint
from tests.brokers import Mosquitto
from tests.certificates import write_certificate
from tests.spine import ADDRESS, Box, eventually, running


@pytest.fixture
def no_names(monkeypatch):
    """No name server answers: addresses alone are understood."""
    real = socket.getaddrinfo

    def numbers_only(host, *args, **kwargs):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise socket.gaierror(socket.EAI_AGAIN, "no name server") from None
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", numbers_only)


@pytest.fixture
async def broker(tmp_path):
    ca = write_certificate(tmp_path, "ca")
    write_certificate(tmp_path, "broker", ca, address="127.0.0.1")
    files = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.pem\n"
    broker = Mosquitto(tmp_path / "broker", [ADDRESS], f"{files}keyfile {tmp_path}/broker.key\n")
    await broker.start()
    yield broker
    await broker.stop()


def told(broker, folder, *hosts):
    urls = tuple(f"mqtts://{host}:{broker.port}" for host in hosts)
    return msgspec.structs.replace(
        broker.settings(ADDRESS.box), urls=urls, ca_file=str(folder / "ca.pem")
    )


async def test_an_address_needs_no_name_server(no_names, broker, tmp_path):
    box = Box(tmp_path, told(broker, tmp_path, "127.0.0.1"))
    async with running(box):
        await box.link.connected()
        assert box.link.status.endpoint == f"mqtts://127.0.0.1:{broker.port}"


async def test_a_name_nobody_knows_is_said_and_an_address_beside_it_serves(
    no_names, broker, tmp_path
):
    box = Box(tmp_path, told(broker, tmp_path, "broker.example"))

    async def is_unknown():
        return box.link.status.error is not None

    async with running(box):
        await eventually(is_unknown)
        assert box.link.status.error.code == "link.unreachable"
        assert "broker.example" in box.link.status.error.message
    both = Box(tmp_path / "both", told(broker, tmp_path, "broker.example", "127.0.0.1"))
    async with running(both):
        await both.link.connected()


def test_an_ipv6_address_is_written_as_it_is_read():
    endpoint = Endpoint.parse("mqtts://[2001:db8::7]:8884")
    assert (endpoint.host, endpoint.port) == ("2001:db8::7", 8884)
    assert str(endpoint) == "mqtts://[2001:db8::7]:8884"
