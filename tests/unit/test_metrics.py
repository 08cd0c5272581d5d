"""What the box tells a scraper parses, says nothing of what is unknown, and survives odd names."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from agent.contract.events import TimeQuality
from agent.contract.telemetry import BoardSample, PowerSample, RailSample
from agent.local.web.metrics import exposition
from agent.local.web.view import (
    BoardView,
    BoxState,
    CameraState,
    CameraView,
    Fault,
    Light,
    ProcessView,
)

STATE = BoxState(
    box_id="box-1",
    site="site-1",
    version="1",
    utc_now=datetime(2026, 11, 22, tzinfo=UTC),
    tq=TimeQuality.NTP,
    light=Light.RED,
    faults=(
        Fault(
            code="camera.lost",
            sentence_en="a",
            sentence_ko="b",
            hint_en="c",
            hint_ko="d",
            camera_id="gate",
        ),
    ),
    cameras=(
        CameraView(
            camera_id='ga"te\\\n', name="Gate", state=CameraState.LOST, is_recording=False, gaps=3
        ),
        CameraView(camera_id="yard", name="Yard", state=CameraState.ONLINE, is_recording=None),
    ),
    processes=(ProcessView(name="core", state="running", pss_mib=39.5),),
    board=BoardView(name="Board", temperature_c=48.5, is_undervolted=None),
    hardware=BoardSample(
        temperature_c=48.5,
        fan_rpm=3270,
        gpu_load_pct=68.2,
        battery_pct=61,
        disk_life_used_pct=40,
        disk_wear="warning",
        disk_written_bytes=123_456_789_012,
        heat_band="warm",
        watchdog_armed=True,
        contacts={"bell-1": "idle", "door": "unknown"},
        outputs={"siren-1": False, "lost": None},
        bell_tests={"bell-1": "well"},
        power=PowerSample(
            frequency_capped=True, rails={"VDD_IN": RailSample(volts=5.05, amps=None)}
        ),
    ),
)


def samples():
    families = text_string_to_metric_families(exposition(STATE))
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_numbers_flags_and_states_are_told_by_name():
    found = samples()
    assert found["poleside_light", ("light", "red")] == 1
    assert found["poleside_cameras",] == 2
    assert found["poleside_board_temperature_c",] == 48.5
    assert found["poleside_process_pss_mib", ("name", "core")] == 39.5
    odd = ("camera_id", 'ga"te\\\n')
    assert found["poleside_camera_is_recording", odd] == 0
    assert found["poleside_camera_state", odd, ("state", "lost")] == 1


def test_the_board_and_what_hangs_on_the_pole_are_told_by_their_names():
    found = samples()
    assert found["poleside_board_fan_rpm",] == 3270
    assert found["poleside_board_battery_pct",] == 61
    assert found["poleside_board_gpu_load_pct",] == 68.2
    assert ("poleside_board_gpu_mhz",) not in found
    assert found["poleside_board_disk_life_used_pct",] == 40
    assert found["poleside_board_disk_written_bytes",] == 123_456_789_012
    assert found["poleside_board_disk_wear", ("disk_wear", "warning")] == 1
    assert found["poleside_board_heat_band", ("heat_band", "warm")] == 1
    assert found["poleside_board_watchdog_armed",] == 1
    assert found["poleside_board_power_frequency_capped",] == 1
    assert found["poleside_board_power_rail_volts", ("rail", "VDD_IN")] == 5.05
    assert found["poleside_board_contact", ("contact", "bell-1"), ("state", "idle")] == 1
    assert found["poleside_board_output", ("output", "siren-1")] == 0
    assert found["poleside_board_bell_test", ("bell_test", "bell-1"), ("state", "well")] == 1
    assert ("poleside_board_output", ("output", "lost")) not in found  # unknown is not off


def test_no_sample_is_told_twice():
    told = [line.rpartition(" ")[0] for line in exposition(STATE).splitlines() if line[0] != "#"]
    assert len(told) == len(set(told))


def test_what_is_unknown_has_no_sample():
    names = {name for name, *_ in samples()}
    assert "poleside_board_is_undervolted" not in names
    assert ("poleside_camera_is_recording", ("camera_id", "yard")) not in samples()
