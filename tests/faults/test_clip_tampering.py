"""Whatever is done to a clip is seen, and named: which GOP, and what was done to it."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta

import pytest

from agent.evidence.box_key import load_public_key
from agent.evidence.findings import FindingKind
from agent.evidence.key_store import load_box_key, open_box_key
from agent.evidence.manifest import open_manifest, sign_manifest
from agent.evidence.mp4_samples import read_media, seal_box
from agent.evidence.verify import verify_clip
from tests.chained_tape import ChainedTape, as_camera_sends, forge, gops_in, poleside
from tests.footage_maker import make_clip
from tests.recording import frames_in

CODECS = {"h264": "libx264", "hevc": "libx265"}


class Case:
    """A box that recorded 9 s, and a clip of 6 GOPs out of the middle, the last one cut short."""

    def __init__(self, folder, codec):
        self.folder = folder
        size = {"codec": CODECS[codec], "seconds": 9, "size_px": (768, 144)}  # nothing repeats
        camera = as_camera_sends(make_clip(folder / "gate.mp4", **size))
        self.tape = ChainedTape(folder / "box")
        start = self.tape.clock.utc_now()
        self.tape.record(camera, cause="lost")
        self.clip = self.tape.export(
            *(start + timedelta(seconds=second) for second in (1.2, 6.5)), folder / "clip.mp4"
        )
        self.later = self.tape.export(
            *(start + timedelta(seconds=second) for second in (7, 9)), folder / "later.mp4"
        )
        yard = ChainedTape(folder / "box", "yard")
        yard.record(make_clip(folder / "yard.mp4", **size | {"ground": 120}))
        self.yard = yard.export(start, start + timedelta(seconds=9), folder / "yard-clip.mp4")
        yard.index.close()
        self.key = self.tape.key.public
        self.gops = gops_in(self.clip)

    def forged(self, tmp_path, gops):
        return forge(self.clip, gops, tmp_path / "forged.mp4")

    def findings(self, path, **options):
        """The findings but for the wrapping, which every forger has to change."""
        verdict = verify_clip(path, [self.key], **options)
        assert not verdict.is_whole
        return [
            (str(one.kind), one.gop)
            for one in verdict.findings
            if one.kind is not FindingKind.CONTAINER_CHANGED
        ]


@pytest.fixture(scope="module", params=CODECS)
def case(request, tmp_path_factory):
    case = Case(tmp_path_factory.mktemp("tamper"), request.param)
    yield case
    case.tape.index.close()


def test_an_untouched_clip_is_whole_and_plays_everywhere(case):
    verdict = verify_clip(case.clip, [case.key])
    assert (verdict.findings, verdict.is_pinned, verdict.gops) == ((), True, 6)
    assert verdict.signed_when_recorded == 6
    assert frames_in(case.clip) == 55
    for command in (
        ["ffmpeg", "-v", "warning", "-i", case.clip, "-f", "null", "-"],
        ["ffprobe", "-v", "warning", "-show_streams", case.clip],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == ""


def test_any_flipped_byte_of_the_video_names_its_gop(case, tmp_path):
    media = read_media(case.clip)
    whole = case.clip.read_bytes()
    out = tmp_path / "flipped.mp4"
    gop = 0
    for sample in media.samples:
        gop += sample.is_key
        data = bytearray(whole)
        data[sample.offset + sample.size // 2] ^= 0x10
        out.write_bytes(data)
        assert case.findings(out) == [("changed", gop)]


def test_a_flipped_byte_anywhere_else_is_seen(case, tmp_path):
    media = read_media(case.clip)
    whole = case.clip.read_bytes()
    out = tmp_path / "flipped.mp4"
    places = [*range(0, media.samples[0].offset, 41), *range(media.media_bytes, len(whole), 397)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= 0x01
        out.write_bytes(data)
        assert not verify_clip(out, [case.key]).is_whole, place


def test_an_inserted_gop_is_named(case, tmp_path):
    foreign = gops_in(case.yard)[2]
    out = case.forged(tmp_path, [*case.gops[:3], foreign, *case.gops[3:]])
    assert case.findings(out) == [("inserted", 4)]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_dropped_gop_is_named(case, tmp_path, place):
    out = case.forged(tmp_path, [*case.gops[:place], *case.gops[place + 1 :]])
    assert case.findings(out) == [("missing", place + 1)]


def test_two_gops_in_another_order_are_named(case, tmp_path):
    one, two, three, *rest = case.gops
    assert case.findings(case.forged(tmp_path, [one, three, two, *rest])) == [("reordered", 3)]


def test_a_rewound_part_is_named(case, tmp_path):
    gops = [*case.gops[:4], case.gops[1], case.gops[2], *case.gops[4:]]
    assert case.findings(case.forged(tmp_path, gops)) == [("repeated", 2), ("repeated", 3)]


@pytest.mark.parametrize("source", ["yard", "later"], ids=["another camera", "another time"])
def test_a_splice_is_named(case, tmp_path, source):
    other = gops_in(getattr(case, source))
    gops = [*case.gops[:2], other[0], other[1], *case.gops[4:]]
    found = case.findings(case.forged(tmp_path, gops))
    assert [gop for _, gop in found] == [3, 4]
    assert {kind for kind, _ in found} <= {"spliced", "changed"}


def test_a_splice_from_another_run_is_named(case, tmp_path):
    start = case.tape.clock.utc_now()
    case.tape.record(case.folder / "yard.mp4", cause="lost")
    again = case.tape.export(start, start + timedelta(seconds=9), tmp_path / "again.mp4")
    other = gops_in(again)
    found = case.findings(case.forged(tmp_path, [*case.gops[:5], other[5]]))
    assert found[0][1] == 6
    assert found[0][0] == "spliced"


def test_a_cut_tail_is_named(case, tmp_path):
    assert case.findings(case.forged(tmp_path, case.gops[:4])) == [("cut", 5), ("cut", 6)]
    short = [*case.gops[:5], case.gops[5][:-1]]
    assert case.findings(case.forged(tmp_path, short)) == [("spliced", 6)]


def test_frames_dropped_inside_a_gop_are_seen(case, tmp_path):
    gops = [*case.gops[:1], case.gops[1][:4] + case.gops[1][5:], *case.gops[2:]]
    assert case.findings(case.forged(tmp_path, gops)) == [("spliced", 2)]


def test_other_speed_is_seen(case, tmp_path):
    data = case.clip.read_bytes()
    at = data.index(b"stts") + 12
    step = int.from_bytes(data[at + 4 : at + 8], "big")
    out = tmp_path / "slow.mp4"
    out.write_bytes(data[: at + 4] + (step * 2).to_bytes(4, "big") + data[at + 8 :])
    (kind, gop), *_ = case.findings(out)
    assert (kind, gop) in {("changed", 1), ("other-video", 1)}


def test_a_clip_cut_in_the_middle_of_the_file_is_seen(case, tmp_path):
    data = case.clip.read_bytes()
    out = tmp_path / "torn.mp4"
    for share in (0.1, 0.5, 0.9, 0.999):
        out.write_bytes(data[: round(len(data) * share)])
        assert not verify_clip(out, [case.key]).is_whole


def test_a_changed_manifest_is_named(case, tmp_path):
    media = read_media(case.clip)
    head, body, signature = media.seal.split(b".")
    for place in (5, len(body) // 2, len(body) - 9):
        changed = body[:place] + (b"A" if body[place : place + 1] != b"A" else b"B")
        token = b".".join((head, changed + body[place + 1 :], signature))
        out = tmp_path / "claims.mp4"
        out.write_bytes(case.clip.read_bytes()[: media.media_bytes] + seal_box(token))
        assert ("manifest-changed", None) in case.findings(out)


def test_another_boxs_key_is_named_even_when_it_signs_all_anew(case, tmp_path):
    other = open_box_key(tmp_path / "other")
    media = read_media(case.clip)
    token = sign_manifest(open_manifest(media.seal).manifest, other)
    out = tmp_path / "theirs.mp4"
    out.write_bytes(case.clip.read_bytes()[: media.media_bytes] + seal_box(token))
    assert [kind for kind, _ in case.findings(out)] == ["wrong-key", "forged-head"]
    unpinned = verify_clip(out)
    assert [one.kind for one in unpinned.findings] == ["forged-head"]
    assert [one.kind for one in verify_clip(case.clip, [other.public]).findings] == ["wrong-key"]


def test_a_manifest_of_another_clip_does_not_fit(case, tmp_path):
    media = read_media(case.clip)
    out = tmp_path / "swapped.mp4"
    out.write_bytes(
        case.clip.read_bytes()[: media.media_bytes] + seal_box(read_media(case.yard).seal)
    )
    assert ("other-video", 1) in case.findings(out)


def test_a_clip_encoded_anew_is_told_with_and_without_its_manifest(case, tmp_path):
    anew = tmp_path / "anew.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", case.clip, "-c:v", "libx264", "-bf", "0", anew], check=True
    )
    assert case.findings(anew) == [("no-manifest", None)]
    found = case.findings(anew, token=read_media(case.clip).seal)
    assert [kind for kind, _ in found] == ["parameters-changed", "other-video"]


def test_a_clip_in_another_wrapping_passes_only_when_that_is_allowed(case, tmp_path):
    copied = tmp_path / "copied.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", case.clip, "-c", "copy", copied], check=True)
    token = read_media(case.clip).seal
    assert case.findings(copied, token=token) == []
    verdict = verify_clip(copied, [case.key], token=token, may_be_repackaged=True)
    assert verdict.is_whole
    assert any("wrapping" in note for note in verdict.notes)


def test_a_recording_changed_on_the_disk_is_told_when_the_clip_is_made(tmp_path):
    tape = ChainedTape(tmp_path / "box")
    start = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "gate.mp4", seconds=6, size_px=(160, 120)))
    _, middle, _ = tape.video_files()
    data = bytearray(middle.read_bytes())
    data[len(data) // 2] ^= 0x04
    middle.write_bytes(data)
    done = poleside(
        *("clip", "export", "--camera", "gate", "--data-dir", tape.data_dir, "--json"),
        *("--from", start.isoformat(), "--to", (start + timedelta(seconds=6)).isoformat()),
        *("--out", tmp_path / "clip.mp4"),
    )
    facts = json.loads(done.stdout)
    assert (facts["sealed"], facts["whole"]) == (True, False)
    assert facts["findings"][0].startswith(("GOP 3 ", "GOP 4 "))
    tape.index.close()


_ALONE = """
import sys

def refuse(event, args):
    if event.startswith("socket.") and event != "socket.__new__":
        raise RuntimeError(f"{event} {args}")

sys.addaudithook(refuse)
from agent.local.cli.main import main
try:
    main(sys.argv[1:])
finally:
    assert "av" not in sys.modules, "a media library was needed"
"""


def test_the_verifier_needs_neither_box_nor_network(case, tmp_path):
    home, desk = tmp_path / "home", tmp_path / "desk"
    home.mkdir()
    desk.mkdir()
    clip = shutil.copy(case.clip, desk / "evidence.mp4")
    key = desk / "box.jwk"
    key.write_text(poleside("clip", "key", "--data-dir", case.tape.data_dir).stdout)
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": "."}

    def alone(*words):
        command = [sys.executable, "-c", _ALONE, "clip", "verify", str(clip), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    pinned = alone("--box-key", key)
    assert (pinned.returncode, pinned.stderr) == (0, "")
    assert f"signed by the box's key {case.key.fingerprint}" in pinned.stdout
    unpinned = alone()
    assert unpinned.returncode == 0
    assert "you must compare" in unpinned.stdout
    assert not list(home.iterdir())

    other = open_box_key(tmp_path / "other")
    jwk = tmp_path / "other" / "keys" / "box-p256.jwk.json"
    assert load_public_key(jwk) == other.public == load_box_key(tmp_path / "other").public
    refused = alone("--box-key", jwk, "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["findings"][0]["kind"] == "wrong-key"
