"""Who is shown recorded video is shown all that can be read of it, and told the rest."""

import asyncio
import io
import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise

import av
import msgspec
import pytest
from msgspec import structs

from agent.app.playback import recorded
from agent.buffer.index import STAGED, from_micros
from agent.buffer.stage import DISK
from agent.buffer.tiers import Thinner
from agent.clips.export import ClipSource, export_clip, stream_clip
from agent.clips.preview import make_preview
from agent.commands.lacks import NOT_GIVEN
from agent.commands.playback import PlaybackHandler
from agent.contract.commands import Actor, Command, Reply, ReplyState
from agent.contract.grants import MediaGrant, Sink, What, Window
from agent.contract.scene_args import Playback
from agent.contract.topics import MAX_BYTES, Channel
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.core.ids import new_ulid
from agent.local.cli.clip_views import sources_of
from agent.messages.push import Lack, PushState, StartPush
from agent.outbox.spool import read_spool
from agent.push.pushes import Pushes
from tests.chained_tape import ChainedTape, poleside
from tests.footage_maker import make_clip
from tests.recording import packets_of
from tests.relay_thread import RelayThread

FPS = 10
SEGMENT_S = 2
HOW = {"gone": "deleted", "zeroed": "unreadable", "cut": "unreadable", "described": "unreadable"}


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def clip(tmp_path_factory, request):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, codec=request.param, seconds=8, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path, clip):
    made = ChainedTape(tmp_path / "data")
    made.record(clip)
    yield made
    made.index.close()


def span_of(tape):
    return from_micros(tape.segments()[0]["start_utc_us"]), tape.clock.utc_now()


def order_of(since, until):
    return StartPush(
        **{"push_id": "p", "stream": "main", "url": "", "token": "", "until_mono_s": 0.0},
        **{"since": since, "until": until},
    )


def spoil(tape, number, how):
    """Take a segment's file, its end, or what it says of its video; return when it began."""
    row = tape.segments()[number]
    path = tape.folder / row["path"]
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "zeroed":
        path.write_bytes(bytes(len(content)))
    elif how == "cut":
        path.write_bytes(content[:600])  # in the middle of what comes before the first picture
    else:
        at = content.index(b"avcC" if b"avcC" in content else b"hvcC") + 5
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
    return from_micros(row["start_utc_us"]).isoformat()


def asked(tape, *words):
    since, until = span_of(tape)
    return [
        *("clip", *words, "--camera", "gate", "--data-dir", tape.data_dir),
        *("--from", since.isoformat(), "--to", until.isoformat()),
    ]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("how", HOW)
def test_a_preview_shows_what_can_be_read_and_tells_the_rest(tape, tmp_path, how, number):
    begins = spoil(tape, number, how)
    done = poleside(*asked(tape, "preview", "--out", tmp_path / "film.webm", "--json"))
    assert done.returncode == 3, done.stdout + done.stderr
    told = json.loads(done.stdout)
    (hole,) = told["holes"]
    assert (hole["from"], hole["cause"]) == (begins, HOW[how])
    assert told["pictures"] == 6  # two a segment, of three
    with av.open(told["file"]) as film:
        assert sum(1 for _ in film.decode(video=0)) == 6
    said = poleside(*asked(tape, "preview", "--out", tmp_path / "again.webm"))
    assert said.returncode == 3
    assert f"UTC: {HOW[how]}" in said.stderr
    entries = [line.entry for line in read_spool(tape.data_dir).entries]
    assert [one.code for one in entries if one.op == "clip.preview"] == ["clip.holes"] * 2


def test_a_picture_that_can_t_be_decoded_is_told_and_the_others_of_its_file_are_shown(
    tape, tmp_path
):
    row = tape.segments()[1]
    path = tape.folder / row["path"]
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") + 4
    content[at : at + 400] = b"\xff" * 400  # its first key frame
    path.write_bytes(content)
    done = poleside(*asked(tape, "preview", "--out", tmp_path / "film.webm", "--json"))
    told = json.loads(done.stdout)
    assert (done.returncode, told["pictures"]) == (3, 7)
    (hole,) = told["holes"]
    assert hole["from"] == from_micros(row["start_utc_us"]).isoformat()


def test_a_preview_of_which_nothing_can_be_read_does_not_say_that_nothing_was_recorded(
    tape, tmp_path
):
    for number in range(len(tape.segments())):
        spoil(tape, number, "cut")
    done = poleside(*asked(tape, "preview", "--out", tmp_path / "film.webm"))
    assert done.returncode == 1
    assert "[clip.unreadable]" in done.stderr


def test_a_preview_without_holes_tells_of_none(tape, tmp_path):
    done = poleside(*asked(tape, "preview", "--out", tmp_path / "film.webm", "--json"))
    assert (done.returncode, json.loads(done.stdout)["holes"]) == (0, [])


@pytest.mark.parametrize("how", HOW)
def test_a_stream_goes_on_after_a_file_that_can_t_be_read_and_tells_it(tape, tmp_path, how):
    spoil(tape, 1, how)
    command = [sys.executable, "-m", "agent.local.cli.main", *map(str, asked(tape, "stream"))]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 3
    assert f"UTC: {HOW[how]}" in done.stderr.decode()
    path = tmp_path / "seen.mp4"
    path.write_bytes(done.stdout)
    with av.open(str(path)) as seen:
        assert sum(1 for _ in seen.decode(video=0)) == 3 * SEGMENT_S * FPS


@pytest.mark.parametrize("number", [0, 1])
def test_a_clip_of_which_one_file_describes_other_video_is_made_without_it(tape, tmp_path, number):
    """A flipped bit in a description is no change of the camera's encoder: its run goes on."""
    begins = spoil(tape, number, "described")
    done = poleside(*asked(tape, "export", "--out", tmp_path / "gate.mp4", "--json"))
    told = json.loads(done.stdout)
    assert (done.returncode, told["frames"]) == (3, 3 * SEGMENT_S * FPS)
    assert [(one["from"], one["cause"]) for one in told["holes"]] == [(begins, "unreadable")]


GARBLED_TIMES = {
    "tfdt": (8, 8, [2**62, -(2**62), 2**50]),  # when a fragment begins: in no year that there is
    "trun": (16, 4, [2**32 - 1, 2**31]),  # how long its first frame lasts: longer than MP4 can say
}


@pytest.mark.parametrize(
    ("box", "number"), [(box, n) for box, (_, _, values) in GARBLED_TIMES.items() for n in values]
)
@pytest.mark.parametrize("victim", [0, 1, 3])
def test_no_garbled_time_in_a_file_ends_what_is_shown_of_the_others(
    tape, tmp_path, box, number, victim
):
    behind, size, _ = GARBLED_TIMES[box]
    rows, (since, until) = tape.segments(), span_of(tape)
    path = tape.folder / rows[victim]["path"]
    content = bytearray(path.read_bytes())
    at = content.index(box.encode()) + behind
    content[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size)
    path.write_bytes(content)
    others = 3 * SEGMENT_S * FPS
    *pictures, lacking = recorded(tape.folder, order_of(since, until))
    assert len(pictures) >= others
    sources = sources_of(tape.data_dir, "gate", since, until, "auto")[1]
    made = export_clip(sources, since, until, tmp_path / "gate.mp4")
    assert made.frames == len(pictures)
    assert [one.cause for one in lacking.lacks] == [one.cause for one in made.holes]
    assert stream_clip(sources, since, until, io.BytesIO()) == made.holes
    assert make_preview(sources, since, until, tmp_path / "film.webm").frames >= 6


def thinned(tape, number):
    """Let all but the last segment be thinned; return this one's file."""
    thinner = Thinner(tape.folder, tape.index, after_days=1.0)
    ends = from_micros(tape.segments()[-1]["start_utc_us"])
    while thinner.thin_next(ends + timedelta(days=1)):
        pass
    row = tape.segments()[number]
    return row["tier"], tape.folder / row["path"]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("how", ["gone", "zeroed"])
def test_a_thinned_file_that_can_t_be_read_is_told_as_a_whole_one_is(tape, tmp_path, how, number):
    (since, until), row = span_of(tape), tape.segments()[number]
    assert thinned(tape, number)[0] == "key-frames"
    assert shown_in(tape, since, until, tmp_path)[1] == []
    spoil(tape, number, how)
    frames, holes = shown_in(tape, since, until, tmp_path)
    begins = from_micros(row["start_utc_us"])
    assert [(one.since, one.cause) for one in holes] == [(begins, HOW[how])] * 3
    assert all(abs(one.until - begins) == timedelta(seconds=SEGMENT_S) for one in holes)
    assert frames == 2 * 2 + SEGMENT_S * FPS


def test_a_file_that_could_not_be_thinned_is_told_when_it_can_t_be_shown(tape, tmp_path):
    since, until = span_of(tape)
    begins = from_micros(tape.segments()[1]["start_utc_us"])
    spoil(tape, 1, "zeroed")
    assert thinned(tape, 1)[0] == "unreadable"
    holes = shown_in(tape, since, until, tmp_path)[1]
    assert [(one.since, one.cause) for one in holes] == [(begins, "unreadable")] * 3


def test_what_is_left_out_behind_a_garbled_time_is_told(tape, tmp_path):
    """A bit of where its second fragment begins is flipped: those behind it come before it."""
    (since, until), row = span_of(tape), tape.segments()[1]
    content = bytearray((tape.folder / row["path"]).read_bytes())
    at = content.index(b"tfdt", content.index(b"tfdt") + 4) + 8
    ticks = int.from_bytes(content[at : at + 8])
    content[at : at + 8] = (3 * ticks).to_bytes(8)
    (tape.folder / row["path"]).write_bytes(content)
    frames, holes = shown_in(tape, since, until, tmp_path)
    left_out = 4 * SEGMENT_S * FPS - frames
    assert left_out > 2
    begins = from_micros(row["start_utc_us"])
    for hole in holes:
        assert begins < hole.since < hole.until < begins + timedelta(seconds=SEGMENT_S)
        assert abs((hole.until - hole.since).total_seconds() - left_out / FPS) <= 1 / FPS + 0.01
    assert [hole.cause for hole in holes] == ["unreadable"] * 3


SLOW_S = [range(0, 24, 2), [0, 0.5, 1, 1.5, 2, 2.5, 3, 5.9, 6, 6.5]]


def slow_tape(folder, times_s, told_s=0.0):
    """Record pictures that come at these times, each told to last so long; return span, too."""
    tape = ChainedTape(folder / "data")
    since, passed_s = tape.clock.utc_now(), 0.0
    slow = make_clip(folder / "slow.mp4", fps=2, seconds=6, size_px=(160, 120))
    with av.open(str(slow)) as container:
        stream = container.streams.video[0]
        tape.recorder.run_started(stream, "h264", (160, 120))
        for packet, at_s in zip(packets_of(container), times_s, strict=False):
            packet.dts = packet.pts = round(at_s / stream.time_base)
            packet.duration = round(told_s / stream.time_base)
            tape.clock.pass_s(at_s - passed_s)
            passed_s = at_s
            tape.recorder.packet(packet, tape.clock.monotonic_s())
        tape.recorder.run_ended("lost")
    until = from_micros(max(one["start_utc_us"] + one["duration_us"] for one in tape.segments()))
    return tape, since, until


def shown_in(tape, since, until, folder):
    """Return how many pictures a clip has, and the holes that each way of showing tells."""
    sources = sources_of(tape.data_dir, "gate", since, until, "auto")[1]
    made = export_clip(sources, since, until, folder / "gate.mp4")
    film = make_preview(sources, since, until, folder / "film.webm")
    *_, lacking = recorded(tape.folder, order_of(since, until))
    not_given = [one for one in lacking.lacks if one.cause in NOT_GIVEN]
    return made.frames, [*made.holes, *film.holes, *not_given]


@pytest.mark.parametrize("times_s", SLOW_S)
@pytest.mark.parametrize("told_s", [0.0, 0.04], ids=["untold", "told as 25 a second"])
def test_a_camera_that_sends_a_picture_in_some_seconds_has_no_hole(tmp_path, times_s, told_s):
    """Between its last picture and the end of a file nothing is missing that could be read."""
    tape, since, until = slow_tape(tmp_path, times_s, told_s)
    assert shown_in(tape, since, until, tmp_path) == (len(times_s), [])
    tape.index.close()


@pytest.mark.parametrize("times_s", SLOW_S)
def test_who_asks_from_or_to_a_moment_between_two_pictures_is_told_of_no_hole(tmp_path, times_s):
    tape, since, until = slow_tape(tmp_path, times_s)
    for at_s in (1.1, 2.1, 3.2, 4.2):
        at = since + timedelta(seconds=at_s)
        before = sum(one < at_s for one in times_s)
        assert shown_in(tape, since, at, tmp_path) == (before, [])
        frames, holes = shown_in(tape, at, until, tmp_path)
        assert (frames >= len(times_s) - before, holes) == (True, [])
    tape.index.close()


def test_a_segment_that_was_closed_between_question_and_copy_is_in_the_clip(tape, tmp_path):
    rows, (since, until) = tape.segments(), span_of(tape)
    sources = [
        ClipSource(tape.folder / row["path"], from_micros(row["start_utc_us"])) for row in rows
    ]
    last = sources[-1]
    sources[-1] = ClipSource(last.path.with_suffix(".open.mp4"), last.start_at)
    made = export_clip(sources, since, until, tmp_path / "gate.mp4")
    assert made.frames == 4 * SEGMENT_S * FPS


def test_a_segment_that_was_written_to_the_disk_between_question_and_copy_is_in_the_clip(
    tape, tmp_path
):
    """Event-only mode keeps what waits for an event in memory, and a minute longer at most."""
    since, until = span_of(tape)
    sources = sources_of(tape.data_dir, "gate", since, until, "auto")[1]
    staged = tape.folder / STAGED / sources[-1].path.relative_to(tape.folder / DISK)
    for name in (staged, staged.with_suffix(".open.mp4")):
        made = export_clip(
            [*sources[:-1], replace(sources[-1], path=name)], since, until, tmp_path / "gate.mp4"
        )
        assert (made.frames, made.holes) == (4 * SEGMENT_S * FPS, ())


def test_a_segment_that_was_thinned_between_question_and_copy_is_in_the_clip_as_it_is(
    tape, tmp_path
):
    since, until = span_of(tape)
    sources = sources_of(tape.data_dir, "gate", since, until, "auto")[1]
    thinned(tape, 1)
    made = export_clip(sources, since, until, tmp_path / "gate.mp4")
    assert (made.frames, made.holes) == (3 * 2 + SEGMENT_S * FPS, ())


class Shown:
    """A camera's worker at a relay, as the grants see it: plays once, and answers how it went."""

    def __init__(self, tape, relay):
        self._tape, self.relay = tape, relay

    async def play(self, _grant_id, _camera_id, order):
        ended, states = threading.Event(), []

        def tell(state):
            states.append(state)
            if state.ended:
                ended.set()

        clock = SystemClock()
        pushes = Pushes(
            {}, tell, lambda: True, clock, recorded=partial(recorded, self._tape.folder)
        )
        pushes.start(structs.replace(order, until_mono_s=clock.monotonic_s() + 60))
        await asyncio.to_thread(ended.wait, 60)
        return states[-1]

    def ordered(self):
        """Have it shown; return the result that the center is told. Raises `CommandError`."""
        since, until = span_of(self._tape)
        clock = SystemClock()
        now = int(clock.utc_now().timestamp())
        common = {"box": "box-1", "nbf": now, "exp": now + 600}
        grant = MediaGrant(
            id=new_ulid(clock.utc_now()),
            incident="7",
            audience="119",
            purpose="a fire",
            reason="fire",
            what=(What.PLAYBACK,),
            cameras=("gate",),
            window=Window(start_at=since, end_at=until),
            sink=Sink(url=self.relay.url(), token="canary"),
            **common,
        )
        command = Command(
            id=new_ulid(clock.utc_now()),
            args=Playback(camera_id="gate", start_at=since, end_at=until),
            by=Actor(user="kim"),
            iat=now,
            iss="city",
            grant=grant,
            **common,
        )

        async def progress(_):
            pass

        return asyncio.run(PlaybackHandler(self)(command, progress))


@pytest.fixture
def shown(tape):
    with RelayThread() as relay:
        yield Shown(tape, relay)


@pytest.mark.parametrize("how", HOW)
def test_a_showing_goes_on_after_a_file_that_can_t_be_read_and_the_center_is_told(tape, shown, how):
    begins = spoil(tape, 1, how)
    result = shown.ordered()
    assert result["pictures"] == 3 * SEGMENT_S * FPS
    assert shown.relay.publication().pictures_total == result["pictures"]
    (hole,) = result["holes"]
    assert (hole["from"], hole["cause"]) == (begins, HOW[how])


def test_a_showing_tells_what_was_never_recorded_and_of_nothing_when_all_is_there(
    tape, shown, clip
):
    assert "holes" not in shown.ordered()
    tape.clock.pass_s(30)
    tape.record(clip)
    (gap,) = shown.ordered()["holes"]
    assert gap["cause"] == "lost"


class Flapping(Shown):
    """A camera whose line broke off again and again, and a disk that lacks the last of it."""

    async def play(self, _grant_id, _camera_id, order):
        steps = [order.since + timedelta(seconds=10 * n) for n in range(3_000)]
        causes = ["lost"] * 2_997 + ["unreadable", "lost"]
        lacks = [
            Lack(since=since, until=until, cause=cause)
            for (since, until), cause in zip(pairwise(steps), causes, strict=False)
        ]
        return PushState(push_id=order.push_id, packets_total=1, ended=True, lacks=tuple(lacks))


def test_a_showing_with_very_many_holes_is_told_in_a_reply_that_can_be_sent(tape):
    with RelayThread() as relay:
        result = Flapping(tape, relay).ordered()
    reply = Reply(id=new_ulid(tape.clock.utc_now()), state=ReplyState.DONE, result=result)
    assert len(msgspec.json.encode(reply)) < MAX_BYTES[Channel.REPLY]
    assert len(result["holes"]) + result["holes_untold"] == 2_999
    assert [one["cause"] for one in result["holes"]].count("unreadable") == 1
    assert result["holes"] == sorted(result["holes"], key=lambda one: one["from"])


def test_a_showing_of_which_nothing_can_be_read_does_not_say_that_nothing_was_recorded(tape, shown):
    for number in range(len(tape.segments())):
        spoil(tape, number, "zeroed")
    with pytest.raises(CommandError) as failed:
        shown.ordered()
    assert failed.value.code == "clip.unreadable"


def test_a_segment_that_was_closed_before_its_turn_came_is_shown(tape, clip):
    """It is open when a showing begins, and has another name once that comes to it."""
    tape.clock.pass_s(5)
    fed = tape.record(clip, cause=None, frames=25)
    since, until = span_of(tape)
    showing = recorded(tape.folder, order_of(since, until))
    pictures = [next(showing)]
    tape.recorder.run_ended("lost")
    *more, lacking = showing
    assert len(pictures + more) == 8 * FPS + fed
    assert [one.cause for one in lacking.lacks] == ["lost"]
