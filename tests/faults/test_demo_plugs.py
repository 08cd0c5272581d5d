"""Whatever is killed during the demo: nothing lost, nothing doubled, each gap with its cause."""

import pytest

from tests.running_demo import RunningDemo

KILLED = {"agent-killed"}
CAMERA_GONE = {"camera-closed", "camera-refused", "camera-unreachable", "camera-timeout"}


def pull(*plugs: str) -> list[str]:
    return [part for plug in plugs for part in ("--pull", plug)]


def run(tmp_path, demo_cache, seconds: float, *plugs: str) -> dict:
    with RunningDemo(tmp_path, demo_cache, "--seconds", str(seconds), *pull(*plugs)) as demo:
        assert demo.wait(seconds + 40) == 0, "".join(demo.said)
        assert demo.left_behind() == []
        return demo.report()


def assert_nothing_lost(report: dict) -> None:
    events = report["events"]
    assert events["raised"] == events["received"] == events["acknowledged"] > 0, events
    assert events["lost"] == events["duplicates"] == events["unheard_hits"] == 0, events
    assert events["waiting"] == 0, events
    assert events["messages_stored"] == events["messages_queued"], events
    for pulled in report["pulled"]:
        assert pulled["pid"] is not None, pulled
        assert pulled["recovered_s"] is not None, pulled
        assert pulled["recovered_s"] >= pulled["off_s"], pulled


def causes(report: dict, camera_id: str) -> list[str]:
    camera = next(row for row in report["cameras"] if row["id"] == camera_id)
    assert all(gap["seconds"] is not None for gap in camera["gaps"])
    return [gap["cause"] for gap in camera["gaps"]]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_every_process_killed_in_turn(tmp_path, demo_cache):
    report = run(
        *(tmp_path, demo_cache, 60),
        *("core:4", "camera-cam-1:10", "detect:16", "supervisor:22", "broker:30:3"),
        *("center:38", "cam-1:43:6"),
    )

    assert_nothing_lost(report)
    own, by_supervisor, gone = causes(report, "cam-1")
    assert {own, by_supervisor} == KILLED
    assert gone in CAMERA_GONE
    assert causes(report, "cam-2") == ["agent-killed"]  # by the supervisor's death alone
    assert len(report["pulled"]) == 7


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_process_killed_in_rounds_and_long_absences(tmp_path, demo_cache):
    victims = ("core", "camera-cam-1", "detect", "camera-cam-2", "center", "supervisor")
    plugs = [
        f"{victim}:{4 + 60 * turn + 9 * number}"
        for turn in range(3)
        for number, victim in enumerate(victims)
    ]
    report = run(tmp_path, demo_cache, 300, *plugs, "broker:185:30", "cam-1:230:10", "cam-2:260:10")

    assert_nothing_lost(report)
    for camera_id in ("cam-1", "cam-2"):
        *killed, gone = causes(report, camera_id)
        assert set(killed) == KILLED
        assert len(killed) == 6  # three times alone, three times with the supervisor
        assert gone in CAMERA_GONE
    assert len(report["pulled"]) == 21
