"""Telemetry's short form says the same in a quarter of the bytes, and garbage does no harm."""

import random

import msgspec
import pytest
import zstandard

from agent.contract.telemetry import Telemetry
from agent.uplink import coding
from agent.uplink.coarse import coarse
from agent.uplink.train_dictionary import sample

KIB_64 = 64 * 1024


def test_packed_it_is_at_most_a_quarter_of_the_json():
    chance = random.Random(7)  # other boxes than the dictionary was trained on
    plain = [msgspec.json.encode(sample(chance)) for _ in range(200)]
    packed = [coding.pack(body) for body in plain]
    assert [coding.unpack(body, KIB_64) for body in packed] == plain
    assert sum(map(len, packed)) <= 0.25 * sum(map(len, plain))


def test_what_is_sent_has_the_digits_somebody_reads():
    told = sample(random.Random(7))
    assert coarse(told) == told
    precise = msgspec.structs.replace(told, mono=told.mono + 0.0123)
    assert coarse(precise).mono == pytest.approx(told.mono, abs=0.1)
    assert coarse(msgspec.structs.replace(told, board=None, state=None)).board is None


def test_a_frame_names_its_dictionary():
    frame = coding.pack(b"{}")
    assert zstandard.get_frame_parameters(frame).dict_id == coding.TELEMETRY_DICTIONARY


def set_fields(value, found):
    """Note each field that is not as by default, in a struct and all it holds."""
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            held = getattr(value, field.name)
            default = field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if held != default:
                found.add(f"{type(value).__name__}.{field.name}")
            set_fields(held, found)
    elif isinstance(value, dict):
        set_fields(tuple(value.values()), found)
    elif isinstance(value, tuple):
        for one in value:
            set_fields(one, found)


def fields_of(kind, found):
    """Note each field of a type of the contract, and of all it holds."""
    if isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            found.add(f"{kind.cls.__name__}.{field.name}")
            fields_of(field.type, found)
    for inner in ("types", "item_type", "value_type"):
        held = getattr(kind, inner, ())
        for one in held if isinstance(held, tuple) else (held,):
            fields_of(one, found)


def test_the_dictionary_is_trained_on_every_field_there_is():
    """A new field of telemetry belongs into `sample`; then run `train_dictionary` again."""
    chance, trained, known = random.Random(7), set(), set()
    for _ in range(2000):
        set_fields(sample(chance), trained)
    fields_of(msgspec.inspect.type_info(Telemetry), known)
    known.discard("State.bye")  # of a farewell alone
    assert known - trained == set()


def test_what_a_box_of_the_first_dictionary_says_is_still_understood():
    raw = (coding.DICTIONARIES / "telemetry-1.zstd").read_bytes()
    first = zstandard.ZstdCompressionDict(raw, dict_type=zstandard.DICT_TYPE_FULLDICT)
    body = msgspec.json.encode(sample(random.Random(3)))
    assert coding.unpack(zstandard.ZstdCompressor(dict_data=first).compress(body), KIB_64) == body


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
