"""Each fact that matters becomes one plain sentence in two languages, and nothing else does."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from agent.contract.events import TimeQuality
from agent.contract.telemetry import DataSample
from agent.core.errors import SettingsError
from agent.health.alarms import alarm_faults
from agent.health.catalogue import CATALOGUE
from agent.health.catalogue.care import CARE
from agent.health.catalogue.incidents import INCIDENTS
from agent.health.catalogue.onvif import ONVIF
from agent.health.catalogue.pole import POLE
from agent.health.catalogue.updates import UPDATES
from agent.health.checks import (
    DiskFacts,
    LinkFacts,
    OutboxFacts,
    camera_clock_faults,
    camera_faults,
    center_clock_faults,
    clock_chip_faults,
    clock_faults,
    control_faults,
    detector_faults,
    disk_faults,
    link_faults,
    model_faults,
    onvif_faults,
    outbox_faults,
    power_faults,
    process_faults,
    temperature_faults,
    unrecorded_faults,
    upload_faults,
)
from agent.health.fault import Light, Severity, changes, keep_since, light
from agent.health.settings_file import StickTold, settings_faults, stick_faults
from agent.health.stored_settings import stored_faults
from agent.messages.capacity import DetectorCapacity
from agent.messages.engines import Engine
from agent.messages.picture import PictureKind, PictureTrouble
from agent.messages.supervision import ProcessReport, ProcessState
from agent.messages.worker import (
    CameraState,
    CameraStatus,
    DetectionStatus,
    RecordingStatus,
    StreamStatus,
)
from agent.settings.bootstrap import WHOLE_FILE
from agent.settings.sift import LeftOut
from hardware.interface import ClockChipState, PowerState, Rail, StorageState, Temperature

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROOMY = DiskFacts(4000 * 1024**2, 512 * 1024**2, StorageState(), inodes=4000)


def chip(epoch_s, quality):
    return clock_chip_faults(ClockChipState(is_present=True, epoch_s=epoch_s), NOW, quality)


MIB = 1024**2
UNKNOWN = SettingsError("settings.invalid", "unknown field `colour`")


def camera(
    state=CameraState.ONLINE,
    code=None,
    sub=CameraState.ONLINE,
    fault=None,
    detection="ready",
    picture=(),
    beside=(),
):
    return CameraStatus(
        camera_id="gate",
        main=StreamStatus(name="main", state=state, code=code, since=NOW),
        sub=StreamStatus(name="sub", state=sub, since=NOW),
        recording=RecordingStatus(recording=fault is None, fault_code=fault, faults=tuple(beside)),
        detection=DetectionStatus(state=detection, since=NOW),
        picture=tuple(PictureTrouble(kind, NOW) for kind in picture),
    )


def uncontrolled(code, state=CameraState.ONLINE, since_s=300):
    return control_faults(camera(state), code, NOW - timedelta(seconds=since_s), NOW)


def disk(free_mib, **storage):
    return disk_faults(DiskFacts(free_mib * MIB, 512 * MIB, StorageState(**storage)))


def process(state):
    return process_faults([ProcessReport(name="detect", pid=1, state=state, since=NOW, restarts=5)])


def data(mode):
    return DataSample(month="2026-11", mode=mode, used_bytes=80, limit_bytes=100)


def outbox(*, link_is_up=True, **facts):
    known = {"waiting": 12, "used_bytes": 0, "max_bytes": 100}
    return outbox_faults(OutboxFacts(**(known | facts)), link_is_up=link_is_up)


def hot(celsius, critical_c=None, *, was_hot=False):
    return temperature_faults([Temperature("cpu", celsius, critical_c)], was_hot=was_hot)


LOST, CONNECTING = CameraState.LOST, CameraState.CONNECTING
SOUND = ("camera.sound_not_allowed", "camera.sound_codec", "camera.no_sound")


def engine(now, *left_out):
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return DetectorCapacity(measured_at=at, engine=now, left_out=left_out, why="it hung")


CASES = [
    (lambda: camera_clock_faults("gate", 60.0), ["camera.clock_off"]),
    (lambda: chip(17.0, TimeQuality.RTC), ["clock.chip_wrong"]),
    (lambda: chip(NOW.timestamp() - 61, TimeQuality.NTP), ["clock.chip_wrong"]),
    (lambda: chip(NOW.timestamp() + 59, TimeQuality.NTP), []),
    (lambda: chip(NOW.timestamp() + 3e9, TimeQuality.RTC), []),
    (lambda: chip(None, TimeQuality.NTP), []),
    (lambda: camera_faults(camera(beside=SOUND)), list(SOUND)),
    (lambda: camera_faults(camera(LOST, "camera.unreachable")), ["camera.unreachable"]),
    (lambda: camera_faults(camera(LOST, "camera.timeout")), ["camera.unreachable"]),
    (lambda: camera_faults(camera(CONNECTING, "camera.refused")), ["camera.unreachable"]),
    (lambda: camera_faults(camera(CameraState.AUTH_FAILED)), ["camera.wrong_password"]),
    (lambda: camera_faults(camera(LOST, "camera.locked_out")), ["camera.locked_out"]),
    (lambda: camera_faults(camera(CameraState.NOT_A_CAMERA)), ["camera.not_a_camera"]),
    (lambda: camera_faults(camera(LOST, "camera.no_such_stream")), ["camera.no_such_stream"]),
    (lambda: camera_faults(camera(LOST, "camera.codec")), ["camera.codec"]),
    (lambda: camera_faults(camera(LOST, "camera.frozen")), ["camera.frozen"]),
    (lambda: camera_faults(camera(LOST, "camera.tls")), ["camera.tls"]),
    (lambda: camera_faults(camera(LOST, "camera.never_seen_code")), ["camera.lost"]),
    (lambda: camera_faults(camera(LOST)), ["camera.lost"]),
    (lambda: camera_faults(camera(sub=LOST)), ["camera.sub_lost"]),
    (lambda: camera_faults(camera(fault="storage.full")), ["camera.not_recorded"]),
    (lambda: camera_faults(camera(LOST, "camera.lost", sub=LOST, fault="x")), ["camera.lost"]),
    *(
        (lambda kind=kind: camera_faults(camera(picture=[kind])), [kind.value])
        for kind in PictureKind
    ),
    (lambda: camera_faults(camera(LOST, picture=[PictureKind.DARK])), ["camera.lost"]),
    *(
        (lambda code=code: camera_faults(camera(beside=[code])), [code])
        for code in (
            "storage.locks_full",
            "storage.second_disk",
            "storage.sub_not_recorded",
            "storage.write_budget",
            "storage.spared",
            "storage.index_repaired",
        )
    ),
    (lambda: camera_faults(camera()), []),
    (lambda: camera_faults(camera(CONNECTING)), []),
    (lambda: camera_faults(camera(CameraState.UNKNOWN)), []),
    (lambda: onvif_faults("gate", "camera.not_onvif"), ["camera.not_onvif"]),
    (lambda: onvif_faults("gate", "camera.stranger"), ["camera.stranger"]),
    (lambda: onvif_faults("gate", "camera.locked_out"), ["camera.locked_out"]),
    (lambda: onvif_faults("gate", "camera.clock_skew"), ["camera.clock_skew"]),
    (lambda: onvif_faults("gate", "camera.tls"), ["camera.tls"]),
    (lambda: onvif_faults("gate", "camera.unsettled"), []),  # in doubt for seconds only
    (lambda: onvif_faults("gate", None), []),
    *(
        (lambda code=code: uncontrolled(code), ["camera.no_control"])
        for code in ("camera.unreachable", "camera.bad_response", "camera.not_supported")
    ),
    (lambda: uncontrolled("camera.unreachable", since_s=5), []),
    (lambda: uncontrolled("camera.unreachable", since_s=-3600), ["camera.no_control"]),
    (lambda: uncontrolled("camera.unreachable", LOST), []),  # told as lost
    (lambda: uncontrolled("camera.wrong_password"), []),  # told as that
    (lambda: uncontrolled(None), []),
    (lambda: detector_faults([camera(detection="motion-only")] * 3), ["detector.unavailable"]),
    (lambda: detector_faults([camera(), camera(detection="off")]), []),
    (lambda: detector_faults([], engine(Engine.TFLITE_CPU, Engine.HAILO)),
     ["detector.stepped_down"]),
    (lambda: detector_faults([camera(detection="motion-only")], engine(None, Engine.TFLITE_CPU)),
     ["detector.motion_only"]),
    (lambda: detector_faults([], engine(Engine.TFLITE_CPU)), []),
    (lambda: detector_faults([], structs.replace(engine(Engine.TFLITE_CPU), lost=("b.tflite",))),
     ["detector.file_lost"]),
    (lambda: model_faults("own-model", "nanodet-g-int8/2"), ["detector.other_model"]),
    (lambda: center_clock_faults(90.0), ["clock.not_the_centers"]),
    (lambda: link_faults(LinkFacts(is_up=False, down_s=60, code="link.refused")), ["link.down"]),
    (lambda: link_faults(LinkFacts(is_up=False, down_s=60, code="link.tls")), ["link.tls"]),
    (lambda: link_faults(LinkFacts(is_up=False, down_s=60, code="link.refused_credentials")),
     ["link.refused_credentials"]),
    (lambda: link_faults(LinkFacts(is_up=False, down_s=3)), []),
    (lambda: link_faults(LinkFacts(is_up=True)), []),
    (lambda: link_faults(LinkFacts(is_up=True, has_twin=True)), ["link.cloned"]),
    (lambda: link_faults(LinkFacts(is_up=True, unheard_s=119)), []),
    (lambda: link_faults(LinkFacts(is_up=True, unheard_s=120)), ["link.not_acknowledged"]),
    (lambda: link_faults(LinkFacts(is_up=True, certificate_days=14)), []),
    (lambda: link_faults(LinkFacts(is_up=True, certificate_days=13)), ["link.certificate_expires"]),
    (lambda: disk(400), ["disk.low"]),
    (lambda: disk(20), ["disk.full"]),
    (lambda: disk(4000), []),
    (lambda: disk(4000, is_read_only=True), ["disk.read_only"]),
    (lambda: disk(4000, is_in_memory=True), ["disk.volatile"]),
    (lambda: disk(4000, life_used_pct=90), ["disk.worn"]),
    (lambda: disk(4000, life_used_pct=40, is_read_only=False), []),
    (lambda: process(ProcessState.WAITING), ["process.restarting"]),
    (lambda: process(ProcessState.QUARANTINED), ["process.quarantined"]),
    (lambda: process(ProcessState.HANGING), ["process.hanging"]),
    (
        lambda: disk_faults(DiskFacts(4000 * MIB, 512 * MIB, StorageState(), is_stuck=True)),
        ["disk.stuck"],
    ),
    *(
        (lambda free=free: disk_faults(replace(ROOMY, free_inodes=free)), told)
        for free, told in ((99, ["disk.inodes"]), (100, []), (None, []))
    ),
    (lambda: process(ProcessState.RUNNING), []),
    (lambda: hot(81.0), ["board.hot"]),
    (lambda: hot(86.0), ["board.too_hot"]),
    (lambda: hot(86.0, 110.0), ["board.too_hot"]),
    (lambda: hot(50.0, 0.0), []),
    (lambda: hot(79.0), []),
    (lambda: hot(77.0, was_hot=True), ["board.hot"]),
    (lambda: hot(None), []),
    (lambda: power_faults(PowerState(under_voltage=True, under_voltage_before=True)),
     ["board.under_voltage"]),
    (lambda: power_faults(PowerState(under_voltage=False, under_voltage_before=True)),
     ["board.under_voltage_before"]),
    (lambda: power_faults(PowerState(throttled=True)), ["board.throttled"]),
    (lambda: power_faults(PowerState(throttled=True, frequency_capped=True, soft_limited=True)),
     ["board.throttled"]),
    (lambda: power_faults(PowerState(throttled=False, frequency_capped=True)),
     ["board.frequency_capped"]),
    (lambda: power_faults(PowerState(soft_limited=True)), ["board.soft_limited"]),
    (lambda: power_faults(PowerState(throttled=False, throttled_before=True)),
     ["board.throttled_before"]),
    (lambda: power_faults(PowerState(rails=(Rail("VDD_IN", 5.0, 4.2, over_current=True),
                                            Rail("VDD_SOC", 5.0, 0.2, over_current=None)))),
     ["board.over_current"]),
    (lambda: power_faults(PowerState()), []),
    (lambda: clock_faults(TimeQuality.UNSYNCED), ["clock.unproven"]),
    (lambda: clock_faults(TimeQuality.RTC), []),
    (lambda: clock_faults(TimeQuality.NTP), []),
    (lambda: link_faults(LinkFacts(is_up=True, data=data("sparing"))), ["link.data_sparing"]),
    (lambda: link_faults(LinkFacts(is_up=True, data=data("spent"))), ["link.data_spent"]),
    (lambda: link_faults(LinkFacts(is_up=True, data=data("storm"))), []),
    (lambda: outbox(oldest_s=700.0), ["outbox.growing"]),
    (lambda: outbox(oldest_s=700.0, link_is_up=False), []),
    (lambda: outbox(used_bytes=81), ["outbox.nearly_full"]),
    (lambda: outbox(evicted_new=3), ["outbox.evicting"]),
    (lambda: outbox(oldest_s=1.0), []),
    (lambda: upload_faults(2, "budget"), ["uploads.budget_spent"]),
    (lambda: upload_faults(2, "window"), []),
    (lambda: alarm_faults({"gate": 2, "roof": 1}, 1.0, (), is_weather=False),
     ["alarms.over_budget"]),
    (lambda: settings_faults(["site", *(f"cameras[{n}].masks" for n in range(9))]),
     ["settings.left_out"]),
    (lambda: settings_faults([WHOLE_FILE]), ["settings.file_unusable"]),
    (lambda: settings_faults([]), []),
    (lambda: stored_faults([LeftOut("$.colour", UNKNOWN), LeftOut("$.a", UNKNOWN, is_local=True)]),
     ["settings.center_left_out", "settings.page_left_out"]),
    (lambda: stored_faults([]), []),
    (lambda: stick_faults(StickTold("no label", is_refused=True)), ["settings.stick_refused"]),
    (lambda: stick_faults(StickTold(is_visited=True)), ["settings.visit_stick"]),
    (lambda: stick_faults(StickTold("has settings")), []),
    (lambda: alarm_faults({}, 1.0, ("gate",), is_weather=True),
     ["alarms.limited", "alarms.weather"]),
]  # fmt: skip


@pytest.mark.parametrize(("check", "codes"), CASES)
def test_a_fact_becomes_its_fault(check, codes):
    assert [fault.code for fault in check()] == codes


def test_the_catalogue_holds_what_the_checks_can_say_and_no_more():
    assert {fault.code for check, _ in CASES for fault in check()} == (
        CATALOGUE.keys()
        - POLE.keys()
        - ONVIF.keys()
        - CARE.keys()
        - INCIDENTS.keys()
        - UPDATES.keys()
    )


def test_every_sentence_is_filled_in_both_languages_and_says_what_to_do():
    for check, _ in CASES:
        for fault in check():
            for text in (fault.sentence_en, fault.sentence_ko, fault.hint_en, fault.hint_ko):
                assert text
                assert "{" not in text
            assert not re.search("[가-힣]", fault.sentence_en + fault.hint_en)
            assert re.search("[가-힣]", fault.sentence_ko)
            assert re.search("[가-힣]", fault.hint_ko)


def test_the_error_code_of_the_link_is_shown():
    (fault,) = link_faults(LinkFacts(is_up=False, down_s=60, code="link.refused"))
    assert "link.refused" in fault.sentence_en
    assert "link.refused" in fault.sentence_ko


def test_the_light_shows_the_worst():
    red = list(camera_faults(camera(LOST)))
    yellow = list(power_faults(PowerState(throttled=True)))
    assert light([]) is Light.GREEN
    assert light(yellow) is Light.YELLOW
    assert light(yellow + red) is Light.RED


def test_a_fault_keeps_the_time_it_began_and_its_end_is_told():
    first = keep_since(power_faults(PowerState(throttled=True)), [], NOW)
    later = NOW + timedelta(minutes=5)
    second = keep_since([*power_faults(PowerState(throttled=True)), *hot(99.0)], first, later)
    assert {fault.code: fault.since for fault in second} == {
        "board.throttled": NOW,
        "board.too_hot": later,
    }
    assert second[0].severity is Severity.RED
    began, ended = changes(second, first)
    assert ([fault.code for fault in began], ended) == (["board.too_hot"], [])
    began, ended = changes([], second)
    assert {fault.code for fault in ended} == {"board.throttled", "board.too_hot"}


def test_one_trouble_seen_by_two_checks_is_told_once():
    refused = camera(CameraState.AUTH_FAILED)
    both = [*camera_faults(refused), *onvif_faults("gate", "camera.wrong_password")]
    assert len(both) == 2
    assert len(keep_since(both, [], NOW)) == 1


@pytest.mark.parametrize(
    ("online_s", "frame_age_s", "recording", "told"),
    [
        (300, 0.1, False, True),
        (300, 0.1, True, False),
        (5, 0.1, False, False),  # its first key frame may still be coming
        (300, 15.0, False, False),  # no frame comes: that is another fault
        (-3600, 0.1, False, True),  # the clock was set back
    ],
)
def test_frames_that_come_and_reach_no_disk_are_told(online_s, frame_age_s, recording, told):
    status = camera()
    main = structs.replace(
        status.main, since=NOW - timedelta(seconds=online_s), last_frame_mono_s=1000 - frame_age_s
    )
    kept = RecordingStatus(recording=recording)
    status = structs.replace(status, main=main, recording=kept)
    codes = [fault.code for fault in unrecorded_faults(status, NOW, 1000.0)]
    assert codes == (["camera.not_recorded"] if told else [])


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [(None, ""), (1.4, ""), (-2.0, ""), (47.2, "47 s ahead of"), (-86400.0, "86400 s behind")],
)
def test_a_camera_whose_clock_is_off_is_told_in_seconds(ahead_s, words):
    told = list(camera_clock_faults("gate", ahead_s))
    assert bool(told) == bool(words)
    assert all(fault.code == "camera.clock_off" and words in fault.sentence_en for fault in told)
