"""The demo ends by itself, leaves nothing behind, and its report tells what truly happened."""

import signal

import pytest

from tests.running_demo import RunningDemo

pytestmark = pytest.mark.slow

SECONDS = 24  # the drawn street sees somebody walk by every 20 s
AGENT = {"supervisor", "core", "detect", "camera-cam-1", "camera-cam-2"}


def test_the_report_tells_what_happened_and_nothing_stays_behind(tmp_path, demo_cache):
    with RunningDemo(tmp_path, demo_cache, "--seconds", str(SECONDS)) as demo:
        assert demo.wait(SECONDS + 40) == 0, "".join(demo.said)
        assert demo.left_behind() == []
        report = demo.report()

    for camera in report["cameras"]:
        assert camera["gaps"] == []
        assert SECONDS * 0.9 <= camera["recorded_s"] <= report["seconds"] + 12
        assert abs(camera["frames"] - camera["recorded_s"] * 10) <= 10
    assert [camera["id"] for camera in report["cameras"]] == ["cam-1", "cam-2"]
    recorded_s = sum(camera["recorded_s"] for camera in report["cameras"])
    assert report["recorded_s"] == pytest.approx(recorded_s, abs=0.1)
    assert report["detections"] > 0

    events = report["events"]
    assert events["raised"] == events["received"] == events["acknowledged"] > 0
    assert events["duplicates"] == events["lost"] == events["unheard_hits"] == 0
    assert events["messages_stored"] == events["messages_queued"]

    # A fault of the box, on a machine with much else to do, is raised by no rule.
    assert 0 < report["latency_ms"]["count"] <= events["raised"]
    for spread in (report["latency_ms"], report["command_rtt_ms"]):
        assert 0 < spread["p50"] <= spread["p95"] <= spread["max"]
    assert report["cpu_s_per_camera_minute"] > 0
    assert set(report["pss_mib"]) == AGENT
    assert all(0 < pss_mib < 500 for pss_mib in report["pss_mib"].values())
    assert report["footage"].startswith("Drawn scene")
    assert report["footage_origin"] == "drawn"
    assert report["simulated"] == ["cameras", "board", "center"]
    assert report["pulled"] == report["faults_at_end"] == []
    assert set(report["restarts"].values()) == {0}
    assert report["ended_by"] == ""


def test_stopped_by_hand_it_ends_in_order_and_still_reports(tmp_path, demo_cache):
    with RunningDemo(tmp_path, demo_cache) as demo:
        demo.page()
        assert demo.end(signal.SIGINT) == 0, "".join(demo.said)
        assert demo.left_behind() == []
        report = demo.report()
    assert report["ended_by"] == "Ctrl-C"
    assert "until Ctrl-C ended it" in "".join(demo.said)
    assert report["events"]["lost"] == 0
    assert all(camera["gaps"] == [] for camera in report["cameras"])


def test_stopped_while_the_stage_is_set_it_ends_all_the_same(tmp_path, demo_cache):
    with RunningDemo(tmp_path, demo_cache) as demo:
        demo.until_there("logs/supervisor.log")
        assert demo.end(signal.SIGTERM) == 0, "".join(demo.said)
        assert demo.left_behind() == []
        assert demo.report()["events"]["lost"] == 0
        assert demo.report()["ended_by"] == "SIGTERM"
