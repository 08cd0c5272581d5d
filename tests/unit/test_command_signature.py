"""Only the center's own key moves this box: no other key, no missing one, no weak algorithm."""

import base64

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey

from agent.commands.ptz_key import is_step
from agent.commands.signature import Signatures, claimed_id
from agent.contract.commands import Actor, Command, Ping
from agent.contract.events import TimeQuality
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.core.ids import new_ulid
from agent.simulators.center.commander import sign


class Clock(SystemClock):
    trusted = TimeQuality.NTP

    def quality(self):
        return self.trusted


def order(**changes):
    clock = SystemClock()
    now = int(clock.utc_now().timestamp())
    command = Command(
        id=new_ulid(clock.utc_now()),
        args=Ping(),
        box="box-1",
        by=Actor(user="kim"),
        iat=now,
        nbf=now,
        exp=now + 30,
        iss="center",
    )
    return msgspec.structs.replace(command, **changes)


@pytest.fixture
def key():
    return OKPKey.generate_key("Ed25519", auto_kid=True)


@pytest.fixture
def signatures(tmp_path, key):
    return for_keys(tmp_path, key)


def for_keys(tmp_path, *keys):
    file = tmp_path / "keys.json"
    file.write_bytes(msgspec.json.encode(KeySet(list(keys)).as_dict(private=False)))
    return Signatures(file, "box-1", Clock())


def code_of(call, *arguments):
    with pytest.raises(CommandError) as caught:
        call(*arguments)
    return caught.value.code


def test_a_good_order_is_read(signatures, key):
    command = order()
    assert signatures.verify(sign(command, key)) == command
    signatures.check_time(command, "")


def test_an_es256_key_is_good_too(tmp_path):
    key = ECKey.generate_key("P-256", auto_kid=True)
    token = jws.serialize_compact(
        {"alg": "ES256", "kid": key.kid}, msgspec.json.encode(order()), key, algorithms=["ES256"]
    )
    assert for_keys(tmp_path, key).verify(token.encode()).op == "ping"


def test_a_strangers_key_is_refused(signatures):
    stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
    assert code_of(signatures.verify, sign(order(), stranger)) == "command.bad_signature"


def test_a_changed_order_is_refused(signatures, key):
    head, _, signature = sign(order(), key).split(b".")
    other = sign(order(), key).split(b".")[1]
    token = b".".join([head, other, signature])
    assert code_of(signatures.verify, token) == "command.bad_signature"


def test_the_public_key_is_no_shared_secret(signatures, key):
    secret = OctKey.import_key(key.as_dict(private=False)["x"])
    head = {"alg": "HS256", "kid": key.kid}
    token = jws.serialize_compact(head, msgspec.json.encode(order()), secret, algorithms=["HS256"])
    assert code_of(signatures.verify, token.encode()) == "command.bad_signature"


def test_an_unsigned_order_is_refused(signatures, key):
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    token = b".".join([head, sign(order(), key).split(b".")[1], b""])
    assert code_of(signatures.verify, token) == "command.bad_signature"


def part(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=")


DEEP = b'{"a":' + b"[" * 4000


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"a.b",
        b"a.b.c",
        b"\xff\xfe",
        b"....",
        part(b'{"alg":"EdDSA","crit":5}') + b".e30.AAAA",
        part(b'{"alg":["EdDSA"],"kid":{}}') + b".e30.AAAA",
        part(DEEP) + b"." + part(DEEP) + b".AAAA",
        part(b'{"alg":"HS256","kid":"x","a":' + b"[" * 4000) + b"." + part(DEEP) + b".AAAA",
    ],
)
def test_rubbish_is_refused(signatures, token):
    assert code_of(signatures.verify, token) == "command.bad_signature"
    assert claimed_id(token) == ""
    assert not is_step(token)


def test_an_order_for_another_box_is_refused(signatures, key):
    assert code_of(signatures.verify, sign(order(box="box-2"), key)) == "command.wrong_box"


def test_a_signed_order_that_is_not_in_the_contract_is_refused(signatures, key):
    claims = msgspec.json.decode(msgspec.json.encode(order()))
    claims["args"] = {"op": "ping", "surprise": 1}
    token = jws.serialize_compact(
        {"alg": "Ed25519", "kid": key.kid}, msgspec.json.encode(claims), key, algorithms=["Ed25519"]
    )
    assert code_of(signatures.verify, token.encode()) == "command.malformed"
    assert claimed_id(token.encode()) == claims["id"]


def test_orders_out_of_time_are_refused(signatures):
    now = order().iat
    assert code_of(signatures.check_time, order(exp=now - 1), "") == "command.expired"
    assert code_of(signatures.check_time, order(nbf=now + 60), "") == "command.not_yet"


def test_a_box_without_a_clock_wants_its_nonce_back(tmp_path, key):
    signatures = for_keys(tmp_path, key)
    signatures._clock.trusted = TimeQuality.UNSYNCED
    assert code_of(signatures.check_time, order(), "n1") == "command.clock_unsure"
    assert code_of(signatures.check_time, order(nonce="n0"), "n1") == "command.clock_unsure"
    assert code_of(signatures.check_time, order(), "") == "command.clock_unsure"
    signatures.check_time(order(nonce="n1", exp=1), "n1")


def test_no_keys_is_said_and_heals_when_the_file_comes(tmp_path, key):
    file = tmp_path / "keys.json"
    signatures = Signatures(file, "box-1", Clock())
    assert code_of(signatures.verify, sign(order(), key)) == "command.no_keys"
    file.write_text("not json")
    assert code_of(signatures.verify, sign(order(), key)) == "command.no_keys"
    for_keys(tmp_path, key)
    assert signatures.verify(sign(order(), key)).op == "ping"
    assert code_of(Signatures(None, "box-1", Clock()).verify, b"") == "command.no_keys"
