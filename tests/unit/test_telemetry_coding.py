"""Telemetry's short form says the same in a quarter of the bytes, and garbage does no harm."""

import random

import msgspec
import pytest
import zstandard

from agent.contract.telemetry import Telemetry
from agent.uplink import coding
from agent.uplink.train_dictionary import sample

KIB_64 = 64 * 1024


def test_packed_it_is_at_most_a_quarter_of_the_json():
    chance = random.Random(7)  # other boxes than the dictionary was trained on
    plain = [msgspec.json.encode(sample(chance)) for _ in range(200)]
    packed = [coding.pack(body) for body in plain]
    assert [coding.unpack(body, KIB_64) for body in packed] == plain
    assert sum(map(len, packed)) <= 0.25 * sum(map(len, plain))


def test_a_frame_names_its_dictionary():
    frame = coding.pack(b"{}")
    assert zstandard.get_frame_parameters(frame).dict_id == coding.TELEMETRY_DICTIONARY


def test_plain_json_is_taken_as_it_is():
    body = msgspec.json.encode(sample(random.Random(1)))
    assert coding.unpack(body, KIB_64) == body
    msgspec.json.decode(body, type=Telemetry)


@pytest.mark.parametrize("broken", [b"\x28\xb5\x2f\xfd", coding.pack(b"{}" * 50)[:-3]])
def test_what_is_broken_is_a_value_error(broken):
    with pytest.raises(ValueError, match="zstd"):
        coding.unpack(broken, KIB_64)


def test_an_unknown_dictionary_is_named():
    one = zstandard.ZstdCompressionDict(
        (coding.DICTIONARIES / "telemetry-1.zstd").read_bytes()[:4]
        + (77).to_bytes(4, "little")
        + (coding.DICTIONARIES / "telemetry-1.zstd").read_bytes()[8:]
    )
    frame = zstandard.ZstdCompressor(dict_data=one).compress(b"{}")
    with pytest.raises(coding.UnknownDictionaryError, match="77"):
        coding.unpack(frame, KIB_64)


def test_a_bomb_stays_small():
    with pytest.raises(ValueError, match="zstd"):
        coding.unpack(coding.pack(b" " * 10_000_000), KIB_64)
