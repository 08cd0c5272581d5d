"""The chain binds all that is in it, reads back what was written, and no file crashes it."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.evidence.clip_gops import ClipGop
from agent.evidence.findings import ExpectedGop, compare
from agent.evidence.frames import GopHash, nal_units, tail_digest
from agent.evidence.gop import FIRST_LINK, Gop, Origin, link, pack, unpack
from agent.evidence.key_store import open_box_key
from agent.evidence.mp4_samples import seal_box
from agent.evidence.signer import HeadStatement, SignedHead, sign_head
from agent.evidence.verify import verify_clip
from tests.footage_maker import make_clip

SHA = st.binary(min_size=32, max_size=32)
# A NAL unit never ends in a zero and never holds a start code.
UNIT = st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"\1"))
UNITS = st.lists(UNIT, min_size=1, max_size=4)


@st.composite
def chains(draw):
    start_us = draw(st.integers(0, 2**50))
    count = draw(st.integers(1, 8))
    return [
        Gop(
            seq,
            start_us + seq * draw(st.integers(0, 10**6)),
            draw(st.integers(1, 2**31)),
            draw(st.integers(0, 2**31)),
            draw(SHA),
            Origin.LIVE,
        )
        for seq in range(count)
    ]


@given(chains())
def test_a_segments_row_gives_back_its_gops(gops):
    assert unpack(pack(gops), gops[0].seq, gops[0].start_us, gops[0].origin) == gops


def head_of(gops, run=1):
    at = FIRST_LINK
    for gop in gops:
        at = link(at, run, gop)
    return at


@given(chains(), st.data())
def test_any_change_of_any_gop_moves_the_head(gops, data):
    number = data.draw(st.integers(0, len(gops) - 1))
    field = data.draw(st.sampled_from(["seq", "start_us", "frames", "size_bytes", "origin"]))
    gop = gops[number]
    if field == "origin":
        other = msgspec.structs.replace(gop, origin=Origin.RECOVERED)
    else:
        other = msgspec.structs.replace(gop, **{field: getattr(gop, field) + 1})
    assert head_of([*gops[:number], other, *gops[number + 1 :]]) != head_of(gops)
    assert head_of(gops, run=2) != head_of(gops)
    assert head_of([*gops[:number], *gops[number + 1 :]]) != head_of(gops)


@given(UNITS, st.integers(1, 4), st.booleans())
def test_units_are_the_same_from_start_codes_and_from_lengths(units, size, is_long):
    if size == 1:
        units = [unit[:255] for unit in units]
    start = b"\0\0\0\1" if is_long else b"\0\0\1"
    stream = b"".join(start + unit for unit in units)
    sample = b"".join(len(unit).to_bytes(size, "big") + unit for unit in units)
    assert nal_units(stream, 0) == nal_units(sample, size) == units


@given(st.binary(max_size=200), st.integers(0, 4))
def test_any_bytes_are_units_or_refused(data, size):
    try:
        units = nal_units(data, size)
    except ValueError:
        return
    assert all(units)


def hashed(frames):
    made = GopHash("h264", bytes(32), Fraction(1, 90_000))
    for number, units in enumerate(frames):
        made.add(units, number * 3000, number * 3000, is_key=number == 0)
    return made


@given(st.lists(UNITS, min_size=1, max_size=6), st.data())
def test_a_gop_cut_short_is_proven_by_the_digests_of_what_was_left_out(frames, data):
    whole = hashed(frames)
    kept = data.draw(st.integers(1, len(frames)))
    assert hashed(frames[:kept]).digest(whole.frame_digests[kept:]) == whole.digest()
    tail = tail_digest(whole.frame_digests[1:])
    assert hashed(frames[:1]).digest_with(tail) == whole.digest()


@given(UNITS, UNITS)
def test_where_one_unit_ends_and_the_next_begins_matters(one, two):
    if one != two:
        assert hashed([one]).digest() != hashed([two]).digest()


@st.composite
def edits(draw):
    """What a forger makes of GOPs 0 to n-1; 100 and more are foreign."""
    count = draw(st.integers(1, 8))
    pool = st.integers(0, count - 1) | st.integers(100, 104)
    return count, draw(st.lists(pool, max_size=10))


@given(edits())
def test_every_other_order_or_content_is_found_and_the_same_is_not(edit):
    count, shown = edit
    expected = [
        ExpectedGop(1, Gop(n, n, 1, 6, hashed([[b"gop%03d" % n]]).digest())) for n in range(count)
    ]
    found = [ClipGop(float(n), hashed([[b"gop%03d" % gop]])) for n, gop in enumerate(shown)]
    findings = compare(expected, found)
    assert bool(findings) == (shown != list(range(count)))
    for finding in findings:
        assert 1 <= finding.gop <= count
    missing = set(range(count)) - set(shown)
    if missing != set(range(count)):  # else all is other video
        named = {one.gop - 1 for one in findings}
        assert missing <= named


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return open_box_key(tmp_path_factory.mktemp("box"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(
        HeadStatement,
        box=st.text(max_size=32),
        camera=st.text(max_size=32),
        run=st.integers(0, 2**53),
        seq=st.integers(0, 2**53),
        link=SHA,
        media_us=st.integers(0, 2**53),
        signed_us=st.integers(0, 2**53),
        clock_quality=st.sampled_from(["ntp", "rtc", "unsynced"]),
    )
)
def test_a_signed_head_survives_the_wire_and_signs_exactly_itself(key, head):
    signed = sign_head(key, head)
    back = msgspec.json.decode(msgspec.json.encode(signed), type=SignedHead)
    assert back == signed
    assert back.is_signed_by(key.public)
    other = msgspec.structs.replace(head, seq=head.seq + 1)
    assert not msgspec.structs.replace(signed, head=other).is_signed_by(key.public)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    return make_clip(path, seconds=1, size_px=(64, 64)).read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_file_makes_the_verifier_crash(video, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.mp4"
    seal = seal_box(data.draw(st.binary(max_size=60)))
    broken = bytearray(video + seal)
    for _ in range(data.draw(st.integers(0, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(broken[: data.draw(st.integers(0, len(broken)))])
    assert not verify_clip(path).is_whole
