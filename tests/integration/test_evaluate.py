"""The exam scores what it is shown: a drawn street whose truth is known to the pixel."""

import json
from fractions import Fraction

import av
import pytest
from click.testing import CliRunner
from lxml import etree

from agent.local.cli.main import cli
from agent.simulators import drawn_scene

WIDTH_PX, HEIGHT_PX, FPS, SECONDS = 640, 360, 5, 20


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Return a folder with a clip, its MOT truth and a table of what happens."""
    folder = tmp_path_factory.mktemp("street")
    with av.open(str(folder / "street_a_360p5.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        shown = drawn_scene.frames(WIDTH_PX, HEIGHT_PX, FPS, SECONDS)
        for number, picture in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    rows = []
    for number in range(SECONDS * FPS):
        region = drawn_scene.person_at(number / FPS, WIDTH_PX, HEIGHT_PX)
        if region is not None:
            x, width = (value * WIDTH_PX for value in (region.x, region.width))
            y, height = (value * HEIGHT_PX for value in (region.y, region.height))
            rows.append(f"{number + 1},1,{x:.1f},{y:.1f},{width:.1f},{height:.1f},1,-1,-1,-1")
    (folder / "street_a_gt.txt").write_text("\n".join(rows))
    zone = [[x * WIDTH_PX, y * HEIGHT_PX] for x, y in drawn_scene.ROAD_ZONE]
    middle = [[WIDTH_PX / 2, 0.5 * HEIGHT_PX], [WIDTH_PX / 2, HEIGHT_PX]]
    crossed_s = (drawn_scene.WALK_BEGINS_S + drawn_scene.WALK_ENDS_S) / 2
    entry = {
        "coordinates": f"pixels of the {WIDTH_PX}x{HEIGHT_PX} picture",
        "zone": zone,
        "line": middle,
        "line_crossings": [{"t": crossed_s, "side": 1}],
    }
    (folder / "expected_events.json").write_text(json.dumps({"street_a": entry}))
    return folder


def evaluate(*arguments):
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def result(street):
    out = street / "result"
    told = evaluate(street, "--truth", street, "--out", out, "--json")
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout), out


def test_who_walks_by_is_found_followed_and_told(result):
    report, _ = result
    assert report["detector"]["person"]["ap50"] > 80
    assert report["tracker"]["idf1"] > 0.8
    behaviours = report["behaviours"]
    assert behaviours["intrusion"]["f1"] == behaviours["line-crossing"]["f1"] == 100.0
    assert behaviours["tamper"]["false"] == 0
    assert report["quiet"]["false_alarms"] == 0
    assert report["quiet"]["at_most_per_camera_day"] > 0


def test_what_was_raised_is_written_as_the_certification_takes_it(result):
    report, out = result
    root = etree.parse(str(out / "xml" / "street_a_360p5.xml")).getroot()
    assert root.tag == "KisaLibraryIndex"
    assert root.findtext(".//Filename") == "street_a_360p5.mp4"
    starts = [one.text for one in root.iter("StartTime")]
    assert len(starts) == int(root.findtext(".//AlarmEvents")) == len(report["clips"][0]["alarms"])
    assert all(len(start) == len("00:00:00") for start in starts)


def test_a_miss_and_a_false_alarm_each_have_a_picture(street, tmp_path):
    wrong = {"street_a": {"events": [{"kind": "intrusion", "start_s": 18.0, "end_s": 19.0}]}}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    (tmp_path / "rules.json").write_text(
        json.dumps(
            {"rules": [{"kind": "intrusion", "rule_id": "r", "zone": drawn_scene.ROAD_ZONE}]}
        )
    )
    told = evaluate(
        street / "street_a_360p5.mp4",
        "--truth",
        tmp_path / "wrong.json",
        "--rules",
        tmp_path / "rules.json",
        "--out",
        tmp_path / "out",
    )
    assert told.exit_code == 0, told.output
    names = sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir())
    assert [("miss" in name, "false" in name) for name in names] in (
        [(True, False), (False, True)],
        [(False, True), (True, False)],
    )
    assert "intrusion" in told.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["{street}/nowhere.mp4", "--truth", "{street}"], "exam.no_footage"),
        (["{street}", "--truth", "{street}/nowhere"], "exam.no_truth"),
        (["{street}", "--truth", "{street}", "--truth-size", "big"], "exam.size"),
        (["{street}", "--truth", "{street}", "--truth-size", "64x36"], "exam.truth_size"),
        (["{street}/street_a_gt.txt", "--truth", "{street}"], "exam.no_footage"),
    ],
)
def test_what_cannot_be_used_says_what_to_do(street, tmp_path, arguments, code):
    filled = [one.format(street=street) for one in arguments]
    told = evaluate(*filled, "--out", tmp_path, "--json")
    assert told.exit_code == 1
    answer = json.loads(told.stdout)
    assert answer["code"] == code
    assert answer["hint"]


def test_rules_are_drawn_onto_a_film_and_a_picture(street, tmp_path):
    config = tmp_path / "box.toml"
    zone = [list(point) for point in drawn_scene.ROAD_ZONE]
    config.write_text(
        f'data_dir = "{tmp_path}"\n[[cameras]]\ncamera_id = "gate"\nmain_url = "rtsp://127.0.0.1/"\n'
        f'[[cameras.rules]]\nkind = "intrusion"\nrule_id = "road"\nzone = {zone}\n'
    )
    for name in ("seen.mp4", "seen.jpg"):
        files = ["--clip", str(street / "street_a_360p5.mp4"), "--out", str(tmp_path / name)]
        told = CliRunner().invoke(
            cli,
            ["rules", "test", "--camera", "gate", "--config", str(config), "--json", *files],
        )
        assert told.exit_code == 0, told.output
        [alarm] = json.loads(told.stdout)["alarms"]
        assert drawn_scene.WALK_BEGINS_S < alarm["at_s"] < drawn_scene.WALK_ENDS_S
    with av.open(str(tmp_path / "seen.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == SECONDS * FPS
