"""Authorities, keys and brokers change under a running box, and none of it can lock it out."""

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest

from agent.commands.renew import renew
from agent.contract.commands import Actor, Ping, RenewIdentity, ReplyState
from agent.contract.enrolment import Grant, SignedGrant
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.core.errors import EnrolError
from agent.enrol import new_ways
from agent.enrol.center_keys import read_signed
from agent.enrol.identity import Identity, IdentityFiles
from agent.enrol.new_ways import NewWays
from agent.enrol.renewal import CertificateRenewal
from agent.settings.trial import LOST_S
from agent.simulators.broker import free_port
from agent.simulators.center.authority import Authority
from agent.simulators.center.commander import (
    add_next_key,
    load_key,
    public_keys_file,
    sign,
    use_next_key,
)
from agent.simulators.center.enrolment import Registrar
from tests.enrolling import CLOCK, NewBox, TlsMosquitto, enrolment_service, killed_at
from tests.spine import Box, eventually, make_center, running

KIM = Actor(user="kim")
POLE = BoxAddress("site-1", "bx-pole")


class Clock(SystemClock):
    """The real one, which may be put ahead."""

    ahead_s = 0.0

    def monotonic_s(self):
        return super().monotonic_s() + self.ahead_s


class Pole(Box):
    """A spine box with an identity from the center, and what renews it."""

    def __init__(self, enrolled, folder):
        files = enrolled.files
        super().__init__(folder, enrolled.broker(), POLE, files.center_keys)
        self.files, self.ways_clock, settings = files, Clock(), enrolled.broker()
        self.ways = NewWays(
            self.ways_clock,
            enrolled.data_dir,
            use=lambda identity: self.link.use(identity.broker_of(settings)),
            link_is_up=lambda: self.link.status.connected,
        )
        renewal = CertificateRenewal(self.clock, enrolled.data_dir, self.ways)
        look = partial(renewal.look, now=True)
        self.commands.register("enrol.renew", renew(look), idempotent=True)
        self.others = [self.ways]

    async def trial_ended(self):
        """Let the five minutes pass, again and again, until the trial is over."""
        while self.ways.on_trial:
            await asyncio.sleep(0.2)
            self.ways_clock.ahead_s += LOST_S + 1


@asynccontextmanager
async def city(folder):
    """Run a broker, a center and an enrolled box for the length of a `with` block."""
    broker = TlsMosquitto(folder / "broker")
    registrar = Registrar(folder, CLOCK, (broker.url,))
    await broker.start(registrar)
    try:
        async with enrolment_service(registrar) as url:
            new = NewBox(folder / "box", url, registrar.new_code(POLE.box), registrar)
            enrolling = asyncio.ensure_future(new.enrol(30.0))

            async def has_asked():
                return registrar.boxes()[0].state == "asks"

            await eventually(has_asked)
            registrar.approve(POLE.box, POLE.site)
            await enrolling
            center = make_center(folder, broker.center(registrar))
            async with running(center), running(Pole(new, folder / "voice")) as box:
                await box.link.connected()
                yield registrar, broker, center, box
    finally:
        await broker.stop()


async def order(center, args):
    return [reply async for reply in center.command(POLE, args, KIM)][-1]


async def send_away(center, box):
    """Have the box renew; whether its reply is still heard here is another matter."""
    renewing = asyncio.ensure_future(order(center, RenewIdentity()))

    async def is_taken():
        return box.ways.on_trial

    await eventually(is_taken)
    renewing.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(new_ways, "LOOK_EVERY_S", 0.05)


async def test_the_box_follows_its_center_to_another_broker_and_authority(tmp_path):
    async with city(tmp_path) as (registrar, old, center, box):
        broker = TlsMosquitto(tmp_path / "new-broker")
        await broker.start(registrar)
        try:
            next_one = Authority(tmp_path / "next-ca", CLOCK)
            (tmp_path / "ca" / "also-trusted.pem").write_text(next_one.pem)
            registrar._broker_urls = (broker.url,)
            await send_away(center, box)

            async def has_moved():
                return box.link.status.connected and box.link.status.endpoint == broker.url

            await eventually(has_moved)
            await box.trial_ended()
            assert box.link.status.endpoint == broker.url
            assert next_one.pem in box.files.broker_ca.read_text()
            identity = box.files.read()
            assert identity.broker_urls == (broker.url,)
            assert identity.enrolled_urls == (old.url,)
        finally:
            await broker.stop()


async def test_a_box_sent_where_nobody_is_comes_back_by_itself(tmp_path):
    async with city(tmp_path) as (registrar, old, center, box):
        before = snapshot_of(box.files)
        registrar._broker_urls = (f"mqtts://127.0.0.1:{free_port()}",)
        await send_away(center, box)

        async def is_lost():
            return box.link.status.error is not None

        await eventually(is_lost)
        await box.trial_ended()
        await box.link.connected()
        assert box.link.status.endpoint == old.url
        assert snapshot_of(box.files) == before
        # the same offer again brings a certificate, and nothing else
        assert (await order(center, RenewIdentity())).state is ReplyState.DONE
        assert not box.ways.on_trial
        assert box.link.status.connected
        assert box.files.certificate.read_bytes() != before["tls-cert.pem"]


async def test_the_centers_key_is_changed_without_a_moment_of_two_minds(tmp_path):
    async with city(tmp_path) as (_, _, center, box):
        await asyncio.to_thread(add_next_key, tmp_path)
        assert (await order(center, RenewIdentity())).state is ReplyState.DONE
        keys = json.loads(box.files.center_keys.read_bytes())["keys"]
        assert len(keys) == 2
        await asyncio.to_thread(use_next_key, tmp_path)
        center._commander._key = await asyncio.to_thread(load_key, tmp_path)  # as a restart does
        assert (await order(center, RenewIdentity())).state is ReplyState.DONE
        assert json.loads(box.files.center_keys.read_bytes())["keys"] == keys[1:]
        box.ways._link_is_up = lambda: False  # the trial ends badly: the keys are no part of it
        await box.trial_ended()
        assert json.loads(box.files.center_keys.read_bytes())["keys"] == keys[1:]
        assert (await order(center, Ping())).state is ReplyState.DONE


def test_a_grant_that_the_box_could_not_live_with_is_refused(tmp_path):
    registrar = Registrar(tmp_path, CLOCK, ("mqtts://a:1",))
    grant = grant_of(registrar)
    keys = public_keys_file(tmp_path).read_text()
    key = load_key(tmp_path)
    stranger = load_key(tmp_path / "stranger")
    strange_keys = public_keys_file(tmp_path / "stranger").read_text()
    assert read_signed(signed(grant, key), "n", keys) == grant
    for token, nonce in (
        (signed(grant, stranger), "n"),
        (signed(grant, key), "another"),
        (signed(msgspec.structs.replace(grant, center_keys=strange_keys), key), "n"),
        ("nonsense", "n"),
    ):
        with pytest.raises(EnrolError, match=r"enrol\.signature"):
            read_signed(token, nonce, keys)


ADOPT = """
import sys
from pathlib import Path
import msgspec
from agent.contract.enrolment import Grant
from agent.core.clock import SystemClock
from agent.enrol.new_ways import NewWays
ways = NewWays(SystemClock(), Path(sys.argv[1]), use=print, link_is_up=bool)
ways.adopt(msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=Grant), "https://c")
"""


@pytest.mark.parametrize("step", [1, 4, 5, 6, 8, 10])
async def test_a_kill_while_the_new_way_is_stored_leaves_one_that_works(tmp_path, step):
    """Killed at one of its renames: five keep what there is, five put the new in its place."""
    files = IdentityFiles(tmp_path / "keys")
    files.folder.mkdir()
    grant = grant_of(Registrar(tmp_path / "center", CLOCK, ("mqtts://a:1",)))
    files.store(grant, "https://c")
    before = snapshot_of(files)
    offer = msgspec.structs.replace(grant, broker_urls=("mqtts://b:2",), broker_ca="other")
    (tmp_path / "offer").write_bytes(msgspec.json.encode(offer))
    await asyncio.to_thread(killed_at, step, ADOPT, tmp_path, tmp_path / "offer")

    clock, used = Clock(), []
    ways = NewWays(clock, tmp_path, use=used.append, link_is_up=lambda: False)
    assert ways.on_trial is (step > 5)
    if ways.on_trial:
        watching = asyncio.create_task(ways.run())
        while ways.on_trial:
            await asyncio.sleep(0.02)
            clock.ahead_s += LOST_S + 1
        await asyncio.sleep(0)
        watching.cancel()
    assert snapshot_of(files) == before
    assert isinstance(files.read(), Identity)


def snapshot_of(files):
    return {path.name: path.read_bytes() for path in new_ways._parts(files)}


def grant_of(registrar):
    return Grant(
        site="site-1",
        box="box-1",
        certificate="certificate",
        broker_ca=registrar.authority.pem,
        center_ca=registrar.authority.pem,
        center_keys=public_keys_file(registrar._folder).read_text(),
        broker_urls=registrar._broker_urls,
    )


def signed(grant, key):
    return sign(SignedGrant(nonce="n", grant=grant), key).decode()
