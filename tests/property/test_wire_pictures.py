"""Our RTP reader gives every picture byte for byte, or not at all; no packet can hurt it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import CameraError
from agent.ingest.wire import pictures as wire
from agent.ingest.wire.h264 import H264Pictures
from agent.ingest.wire.h265 import H265Pictures
from agent.ingest.wire.strange import NotUnderstood
from agent.simulators.camera.rtp import PAYLOAD_TYPE, interleave, packetise

READERS = {"h264": H264Pictures, "hevc": H265Pictures}
HEADS = {  # sets, SEI, then slices: the first of its picture, a further one
    "h264": {
        "sps": b"\x67",
        "sei": b"\x06\x05",
        "key": b"\x65\x88",
        "p": b"\x41\x9a",
        "+": b"\x41\x1a",
    },
    "hevc": {
        "sps": b"\x42\x01",
        "sei": b"\x4e\x01",
        "key": b"\x26\x01\xaf",
        "p": b"\x02\x01\xd0",
        "+": b"\x02\x01\x50",
    },
}
SHAPES = st.sampled_from([("p",), ("sei", "p"), ("p", "+"), ("sps", "sei", "key"), ("key", "+")])
BODIES = st.binary(min_size=1, max_size=4_000)
FILMS = st.lists(
    SHAPES.flatmap(lambda shape: st.tuples(*(st.tuples(st.just(k), BODIES) for k in shape))),
    min_size=1,
    max_size=6,
)
CODECS = st.sampled_from(["h264", "hevc"])
STEP = 6_000


def units_of(picture, codec):
    return [HEADS[codec][kind] + body for kind, body in picture]


def stored(units):
    return b"".join(len(unit).to_bytes(4) + unit for unit in units)


def sent(film, codec, first_seq=0, first_stamp=0, max_bytes=1_400):
    """Return one interleaved frame after the other, as a camera would send the film."""
    frames, seq = [], first_seq
    for number, picture in enumerate(film):
        parts = [
            part for unit in units_of(picture, codec) for part in packetise(unit, codec, max_bytes)
        ]
        for index, part in enumerate(parts):
            frame = interleave(
                [part], channel=0, first_seq=seq, timestamp_90k=first_stamp + number * STEP, ssrc=7
            )
            is_last = index == len(parts) - 1
            frames.append(frame if is_last else frame[:5] + bytes([PAYLOAD_TYPE]) + frame[6:])
            seq += 1
    return frames


def taken(reader, frames):
    data = b"".join(frames)
    raw = bytearray(data) + bytes(wire.SLACK_BYTES)
    assert reader.take_frames(raw, 0, len(data), 0) == len(data)
    return [bytes(picture.data) for picture in reader.ready]


def taken_as_it_comes(reader, frames, cuts):
    """Read as `Line.read` does: what is left goes to the front, all else is written over."""
    data = b"".join(frames)
    raw = bytearray(len(data) + wire.SLACK_BYTES)
    start = end = 0
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    for number, (before, after) in enumerate(pairwise(places)):
        rest = bytes(raw[start:end])
        raw[:] = bytes([number * 37 % 256]) * len(raw)
        raw[: len(rest)] = rest
        start, end = 0, len(rest) + after - before
        raw[len(rest) : end] = data[before:after]
        start = reader.take_frames(raw, start, end, 0)
    raw[:] = b"\xee" * len(raw)
    return [bytes(picture.data) for picture in reader.ready]


@given(
    codec=CODECS,
    film=FILMS,
    cuts=st.lists(st.integers(0, 2**20), max_size=60),
    max_bytes=st.integers(64, 1_400),
    data=st.data(),
)
def test_a_picture_holds_nothing_of_what_came_into_the_buffer_after_it(
    codec, film, cuts, max_bytes, data
):
    """Nor does it matter where the bytes that have come end, and which packets are missing."""
    frames = sent(film, codec, max_bytes=max_bytes)
    lost = data.draw(st.sets(st.integers(0, len(frames) - 1), max_size=2))
    frames = [frame for number, frame in enumerate(frames) if number not in lost]
    at_once, reader = READERS[codec](PAYLOAD_TYPE), READERS[codec](PAYLOAD_TYPE)
    assert taken_as_it_comes(reader, frames, cuts) == taken(at_once, frames)
    assert reader.damaged_total == at_once.damaged_total
    assert lost or len(reader.ready) == len(film)


@given(
    codec=CODECS,
    film=FILMS,
    first_seq=st.integers(0, 2**16 - 1),
    first_stamp=st.integers(2**32 - 4 * STEP, 2**32 - 1),
    max_bytes=st.integers(64, 1_400),
)
def test_every_picture_comes_as_it_was_sent(codec, film, first_seq, first_stamp, max_bytes):
    reader = READERS[codec](PAYLOAD_TYPE)
    frames = sent(film, codec, first_seq, first_stamp, max_bytes)
    assert taken(reader, frames) == [stored(units_of(picture, codec)) for picture in film]
    assert [p.is_key for p in reader.ready] == [any(k == "key" for k, _ in pic) for pic in film]
    assert {b.ticks - a.ticks for a, b in pairwise(reader.ready)} <= {STEP}
    assert reader.damaged_total == 0


@given(codec=CODECS, film=FILMS)
def test_without_markers_the_next_time_stamp_ends_a_picture(codec, film):
    reader = READERS[codec](PAYLOAD_TYPE)
    frames = [f[:5] + bytes([PAYLOAD_TYPE]) + f[6:] for f in sent(film, codec)]
    assert taken(reader, frames) == [stored(units_of(picture, codec)) for picture in film[:-1]]


@given(codec=CODECS, film=FILMS)
def test_without_time_stamps_and_markers_the_units_tell_where_a_picture_begins(codec, film):
    reader = READERS[codec](PAYLOAD_TYPE)
    frames = [f[:5] + bytes([PAYLOAD_TYPE]) + f[6:8] + bytes(4) + f[12:] for f in sent(film, codec)]
    assert taken(reader, frames) == [stored(units_of(picture, codec)) for picture in film[:-1]]


@given(codec=CODECS, film=FILMS, data=st.data())
def test_a_lost_packet_costs_its_picture_and_none_is_ever_half(codec, film, data):
    frames = sent(film, codec)
    lost = data.draw(st.sets(st.integers(0, len(frames) - 1), max_size=3))
    reader = READERS[codec](PAYLOAD_TYPE)
    got = taken(reader, [frame for number, frame in enumerate(frames) if number not in lost])
    whole = [units_of(picture, codec) for picture in film]
    slices = [[u for u, (k, _) in zip(units, pic, strict=True) if k in ("key", "p", "+")]
              for units, pic in zip(whole, film, strict=True)]  # fmt: skip
    # Sets and messages ahead of a picture may be lost unseen, its slices never.
    assert all(any(one.endswith(stored(some)) for some in slices) for one in got)
    assert len(got) + reader.damaged_total <= len(film) + len(lost)


@given(codec=CODECS, film=FILMS, data=st.data())
def test_a_packet_sent_twice_changes_nothing(codec, film, data):
    frames = sent(film, codec)
    again = data.draw(st.integers(0, len(frames) - 1))
    frames.insert(again, frames[again])
    reader = READERS[codec](PAYLOAD_TYPE)
    assert taken(reader, frames) == [stored(units_of(picture, codec)) for picture in film]


@given(codec=CODECS, film=FILMS, data=st.data())
def test_damage_of_any_kind_is_survived_or_told(codec, film, data):
    frames = sent(film, codec)
    for _ in range(data.draw(st.integers(1, 6))):
        number = data.draw(st.integers(0, len(frames) - 1))
        frame = bytearray(frames[number])
        how = data.draw(st.sampled_from(["flip", "cut", "swap"]))
        if how == "flip":
            frame[data.draw(st.integers(4, len(frame) - 1))] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del frame[data.draw(st.integers(5, len(frame))) :]
            frame[2:4] = (len(frame) - 4).to_bytes(2)
        else:
            frames[number], frames[0] = frames[0], frames[number]
            continue
        frames[number] = bytes(frame)
    reader = READERS[codec](PAYLOAD_TYPE)
    try:
        taken(reader, frames)
    except (CameraError, NotUnderstood):
        return
    for picture in reader.ready:  # lengths add up, so that no muxer can be led astray
        at = 0
        while at < len(picture.data):
            at += 4 + int.from_bytes(picture.data[at : at + 4])
        assert at == len(picture.data)


@given(codec=CODECS, noise=st.binary(max_size=3_000))
def test_noise_is_read_no_further_than_it_goes(codec, noise):
    reader = READERS[codec](PAYLOAD_TYPE)
    raw = bytearray(noise) + bytes(wire.SLACK_BYTES)
    try:
        assert 0 <= reader.take_frames(raw, 0, len(noise), 0) <= len(noise)
    except (CameraError, NotUnderstood):
        return


def test_a_unit_without_end_takes_no_more_memory_than_a_picture_may(monkeypatch):
    monkeypatch.setattr(wire, "MOST_PICTURE_BYTES", 100_000)
    reader = H264Pictures(PAYLOAD_TYPE)
    (first, middle) = (b"\x7c\x85\x88" + bytes(1_000), b"\x7c\x05" + bytes(1_000))
    for seq in range(1_000):
        payload = middle if seq else first
        frame = interleave([payload], channel=0, first_seq=seq, timestamp_90k=0, ssrc=7)
        taken(reader, [frame[:5] + bytes([PAYLOAD_TYPE]) + frame[6:]])
        assert sum(map(len, reader._pieces)) < 110_000
    assert reader.ready == []


def test_aggregated_units_are_taken_apart():
    sps, pps, key = b"\x67abc", b"\x68d", b"\x65\x88" + bytes(20)
    stap = b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in (sps, pps, key))
    reader = H264Pictures(PAYLOAD_TYPE)
    assert taken(reader, [interleave([stap], channel=0, first_seq=1, timestamp_90k=0, ssrc=7)]) == [
        stored([sps, pps, key])
    ]
    vps, idr = b"\x40\x01abc", b"\x26\x01\xaf" + bytes(20)
    packet = b"\x60\x01" + b"".join(len(unit).to_bytes(2) + unit for unit in (vps, idr))
    reader = H265Pictures(PAYLOAD_TYPE)
    assert taken(
        reader, [interleave([packet], channel=0, first_seq=1, timestamp_90k=0, ssrc=7)]
    ) == [stored([vps, idr])]


def test_sets_with_a_marker_of_their_own_stay_with_their_picture():
    sps, key = b"\x67abc", b"\x65\x88" + bytes(20)
    reader = H264Pictures(PAYLOAD_TYPE)
    frames = [
        interleave([unit], channel=0, first_seq=seq, timestamp_90k=0, ssrc=7)
        for seq, unit in enumerate((sps, key))
    ]
    assert taken(reader, frames) == [stored([sps, key])]


def test_pictures_in_another_order_than_shown_are_left_to_libav():
    reader = H264Pictures(PAYLOAD_TYPE)
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    frames = [
        interleave(
            [b"\x41\x9a" + bytes(9)], channel=0, first_seq=seq, timestamp_90k=at * STEP, ssrc=7
        )
        for seq, at in enumerate(order)
    ]
    try:
        taken(reader, frames)
    except NotUnderstood:
        return
    raise AssertionError("it was not noticed")
