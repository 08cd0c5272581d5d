"""One camera's login is tried by one line at a time, and by none while it is known to be wrong."""

import threading
from contextlib import ExitStack
from itertools import pairwise, product

import pytest

from agent.core import login_record, login_tries
from agent.core.errors import CameraError
from agent.core.login_record import REFUSED, Face, Secret
from agent.core.login_tries import (
    BACK_OFF_S,
    GOOD_LOGIN_RETRY_S,
    IN_DOUBT,
    LOCKED_OUT,
    NO_LOGIN_RETRY_S,
    SETTLED_S,
    STOP_RETRY_S,
    VIDEO_RETRY_CAP_S,
    VIDEO_RETRY_S,
    LoginBusyError,
    LoginHeldError,
    tries_of,
)

ONVIF, VIDEO = Face.ONVIF, Face.VIDEO
SECRET = Secret("10.0.0.7", "admin", "geheim-4711")
OTHERS = (
    Secret("10.0.0.7", "admin", "changed"),
    Secret("10.0.0.7", "another", "geheim-4711"),
    Secret("10.0.0.8", "admin", "geheim-4711"),
)


class Clock:
    """Seconds since boot, as the test says; real threads wait for no time at all."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic_s(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def process(tmp_path, clock):
    """Return what another process of the box sees; each call is one that just started."""
    return lambda: tries_of(tmp_path, "gate", clock)


def left_s(tries, face, secret=SECRET):
    return round(tries.left_s(secret, face), 3)


@pytest.mark.parametrize("first", Face)
def test_one_refusal_is_known_to_all_processes_and_after_any_restart(process, first):
    process().refused(SECRET, first)
    for face in Face:
        assert left_s(process(), face) >= BACK_OFF_S
        with pytest.raises(LoginHeldError):
            process().trial(SECRET, face).begin()


def test_another_password_user_or_host_is_tried_at_once(process):
    process().refused(SECRET, VIDEO)
    for secret in OTHERS:
        assert not left_s(process(), ONVIF, secret)
        assert not left_s(process(), VIDEO, secret)


def test_what_works_is_not_stopped_by_what_does_not(process):
    for secret, works, fails in ((SECRET, VIDEO, ONVIF), (OTHERS[0], ONVIF, VIDEO)):
        process().taken(secret, works)
        process().refused(secret, fails)
        assert not left_s(process(), works, secret)
        assert left_s(process(), fails, secret) >= BACK_OFF_S


def test_each_face_has_its_turn_and_there_are_five_minutes_between_two_tries(process, clock):
    """As the box does it: ONVIF asks by the minute, the video as soon as it may."""
    begun_s, tried = clock.now_s, []
    for tick in range(2 * 3600):
        clock.now_s = begun_s + tick
        for face in (VIDEO, ONVIF) if tick % 60 == 0 else (VIDEO,):
            if not process().left_s(SECRET, face):
                tried.append((tick, face))
                process().refused(SECRET, face)
    gaps_s = [after - before for (before, _), (after, _) in pairwise(tried)]
    assert min(gaps_s) >= BACK_OFF_S
    assert {face for _, face in tried[:3]} == set(Face)
    assert sum(face is VIDEO for _, face in tried) >= 3


def test_a_login_of_onvif_alone_is_recorded_after_five_minutes(process, clock):
    process().refused(SECRET, ONVIF)
    clock.now_s += BACK_OFF_S + 1
    assert not left_s(process(), VIDEO)


def test_video_refused_again_and_again_is_tried_more_and_more_rarely(process, clock):
    delays = []
    for _ in range(8):
        process().refused(SECRET, VIDEO)
        delays.append(left_s(process(), VIDEO))
        clock.now_s += delays[-1]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (VIDEO_RETRY_S, VIDEO_RETRY_CAP_S)


@pytest.mark.parametrize("face", Face)
def test_a_login_that_was_good_is_tried_again_soon_and_once_the_camera_has_settled(
    process, clock, face
):
    process().taken(SECRET, face)
    for delay_s in (GOOD_LOGIN_RETRY_S, SETTLED_S):
        process().refused(SECRET, face)
        assert left_s(process(), face) == delay_s
        assert process().is_in_doubt(SECRET, face)
        clock.now_s += delay_s
    process().refused(SECRET, face)
    assert left_s(process(), face) >= BACK_OFF_S
    assert not process().is_in_doubt(SECRET, face)


def test_a_camera_that_starts_up_is_had_again_whatever_it_refused(process, clock):
    """Any mix of tries: the last one that is left comes when the camera knows its users again."""
    for number, mix in enumerate(product(Face, repeat=3)):
        secret = Secret("10.0.0.7", "admin", str(number))
        for face in Face:
            process().taken(secret, face)
        began_s, wait_s = clock.now_s, 0.0
        for face in mix:
            clock.now_s += min(wait_s, GOOD_LOGIN_RETRY_S)
            if not process().left_s(secret, face):
                process().refused(secret, face)
            wait_s = max(process().left_s(secret, face) for face in Face)
        clock.now_s = max(clock.now_s, began_s) + SETTLED_S
        assert not all(process().left_s(secret, face) for face in Face)


def test_a_login_that_was_good_is_sent_four_times_in_all_then_five_minutes_never(process, clock):
    for mix in product(Face, repeat=4):
        secret = Secret("10.0.0.7", "admin", str(mix))
        for face in Face:
            process().taken(secret, face)
        sent, until_s = 0, clock.now_s + BACK_OFF_S - SETTLED_S
        while clock.now_s < until_s:
            for face in (*mix, *Face):
                if not process().left_s(secret, face):
                    process().refused(secret, face)
                    sent += 1
            clock.now_s += 0.5
        assert sent <= 4


def test_what_was_sent_twice_for_one_try_counts_twice_if_it_was_good(process):
    process().refused(SECRET, ONVIF, messages=2)
    assert process().refusals(SECRET, ONVIF) == 1
    process().taken(SECRET, ONVIF)
    process().refused(SECRET, ONVIF, messages=2)
    assert left_s(process(), ONVIF) == SETTLED_S


def test_nobody_is_told_that_a_good_login_is_wrong_while_it_is_in_doubt(process, clock):
    process().taken(SECRET, ONVIF)
    told = []
    for _ in range(3):
        process().refused(SECRET, ONVIF)
        with pytest.raises(LoginHeldError) as held:
            process().trial(SECRET, ONVIF).begin(0.0)
        told.append(held.value.code)
        clock.now_s += process().left_s(SECRET, ONVIF)
    assert told == [IN_DOUBT, IN_DOUBT, REFUSED]


def test_a_camera_that_says_it_has_locked_us_out_is_left_alone_but_for_a_stop(process):
    for face in Face:
        process().taken(SECRET, face)
    process().refused(SECRET, ONVIF, LOCKED_OUT)
    assert left_s(process(), ONVIF) == BACK_OFF_S
    assert not process().is_in_doubt(SECRET, ONVIF)
    with pytest.raises(LoginHeldError) as held:
        process().trial(SECRET, ONVIF).begin(0.0)
    assert held.value.code == LOCKED_OUT
    assert not left_s(process(), VIDEO)
    assert not process().stop_left_s(SECRET)


def test_a_user_that_onvif_never_knew_takes_nothing_from_the_video_s_tries(process, clock):
    for _ in range(5):
        process().refused(SECRET, ONVIF)
    process().taken(SECRET, VIDEO)
    process().refused(SECRET, VIDEO)
    assert left_s(process(), VIDEO) == GOOD_LOGIN_RETRY_S


def refused_for_long(process, clock):
    process().taken(SECRET, ONVIF)
    for _ in range(3):
        process().refused(SECRET, ONVIF)
    clock.now_s += 1.0


def test_a_stop_is_sent_at_once_however_long_a_good_login_is_refused(process, clock):
    refused_for_long(process, clock)
    with pytest.raises(LoginHeldError):
        process().trial(SECRET, ONVIF).begin(0.0)
    process().trial(SECRET, ONVIF).begin(0.0, is_stop=True)


def test_a_stop_waits_for_nobody_s_turn(process, clock):
    refused_for_long(process, clock)
    clock.now_s += BACK_OFF_S
    hanging = process().trial(SECRET, ONVIF)
    hanging.begin(0.0)
    process().trial(SECRET, ONVIF).begin(0.0, is_stop=True)
    hanging.close()


def test_stops_of_a_refused_login_are_three_in_five_minutes_over_any_restart(process, clock):
    refused_for_long(process, clock)
    sent = []
    for second in range(int(BACK_OFF_S)):
        if not process().stop_left_s(SECRET):
            process().trial(SECRET, ONVIF).begin(0.0, is_stop=True)
            process().refused(SECRET, ONVIF)
            sent.append(second)
        assert left_s(process(), ONVIF)  # nothing else is tried meanwhile
        clock.now_s += 1.0
    assert sent == [0, STOP_RETRY_S, 2 * STOP_RETRY_S]
    process().taken(SECRET, ONVIF)
    assert not process().stop_left_s(SECRET)


def test_a_stop_with_a_login_that_was_never_good_is_held_as_all_else(process):
    process().refused(SECRET, ONVIF)
    with pytest.raises(LoginHeldError):
        process().trial(SECRET, ONVIF).begin(0.0, is_stop=True)


def test_what_one_face_takes_after_a_refusal_is_tried_at_once_by_the_other(process, clock):
    process().refused(SECRET, VIDEO)
    clock.now_s += BACK_OFF_S
    process().taken(SECRET, ONVIF)
    assert not left_s(process(), VIDEO)


def test_a_refusal_before_a_reboot_counts_from_the_boot(process, clock, monkeypatch):
    process().refused(SECRET, VIDEO)
    monkeypatch.setattr(login_record, "boot_id", lambda: "another")
    clock.now_s = 20.0
    assert left_s(process(), VIDEO) == VIDEO_RETRY_S - 20
    assert left_s(process(), ONVIF) == BACK_OFF_S - 20
    clock.now_s = 400.0
    assert not left_s(process(), VIDEO)


def test_one_line_tries_and_the_others_go_by_what_came_of_it(process):
    first = process().trial(SECRET, VIDEO)
    first.begin()
    raised = []

    def second():
        try:
            process().trial(SECRET, ONVIF).begin(30.0)
        except CameraError as error:
            raised.append(error)

    waiting = threading.Thread(target=second)
    waiting.start()
    assert waiting.is_alive()
    first.refused()
    waiting.join(30.0)
    assert isinstance(raised[0], LoginHeldError)


def test_a_line_that_hangs_stops_the_others_for_a_while_only(process, clock):
    hanging, tries = process().trial(SECRET, ONVIF), process()
    hanging.begin()
    with pytest.raises(LoginBusyError):
        tries.trial(SECRET, VIDEO).begin(0.0)
    clock.now_s += login_tries.TURN_S
    tries.trial(SECRET, VIDEO).begin(0.0)
    hanging.close()


def test_lines_with_a_good_login_wait_for_nobody(process):
    process().taken(SECRET, VIDEO)
    hanging = process().trial(OTHERS[0], ONVIF)
    hanging.begin()
    with ExitStack() as both:
        for _ in range(2):
            trial = process().trial(SECRET, VIDEO)
            both.callback(trial.close)
            trial.begin(0.0)
    hanging.close()


def test_two_streams_with_a_good_login_try_one_after_the_other(process):
    process().taken(SECRET, VIDEO)
    first, raised = process().trial(SECRET, VIDEO), []
    first.begin()

    def second():
        try:
            process().trial(SECRET, VIDEO).begin()
        except CameraError as error:
            raised.append(error)

    waiting = threading.Thread(target=second)
    waiting.start()
    assert waiting.is_alive()
    first.refused()
    waiting.join(30.0)
    assert isinstance(raised[0], LoginHeldError)
    assert left_s(process(), VIDEO) == GOOD_LOGIN_RETRY_S


def test_two_refusals_at_the_same_time_leave_the_second_try(process, clock):
    process().taken(SECRET, VIDEO)
    both = [process().trial(SECRET, VIDEO) for _ in range(2)]
    for trial in both:
        trial.begin(0.0)  # the first hangs: the second goes on alone
    for trial in both:
        clock.now_s += 1.0
        trial.refused()
    assert left_s(process(), VIDEO) == GOOD_LOGIN_RETRY_S


def test_onvif_vouches_for_what_the_video_was_refused_while_the_camera_started(process, clock):
    for face in Face:
        process().taken(SECRET, face)
    for _ in range(2):
        clock.now_s += 1.0
        process().refused(SECRET, VIDEO)
    process().taken(SECRET, ONVIF)
    assert left_s(process(), VIDEO) == SETTLED_S  # it may still be starting
    clock.now_s += SETTLED_S
    process().taken(SECRET, ONVIF)
    assert not left_s(process(), VIDEO)
    process().refused(SECRET, VIDEO)
    for _ in range(3):  # a password of its own
        process().refused(SECRET, VIDEO)
        clock.now_s += SETTLED_S
        process().taken(SECRET, ONVIF)
        assert left_s(process(), VIDEO) >= BACK_OFF_S - SETTLED_S


def test_onvif_does_not_vouch_again_and_again_for_a_user_that_the_video_never_took(process, clock):
    process().taken(SECRET, ONVIF)
    process().refused(SECRET, VIDEO)
    for _ in range(3):
        clock.now_s += SETTLED_S
        process().taken(SECRET, ONVIF)
        assert left_s(process(), VIDEO) > 0


def test_without_a_login_in_the_settings_nothing_was_tried(process, clock):
    nobody = Secret("10.0.0.7", "", "")
    for _ in range(4):
        process().refused(nobody, VIDEO)
        assert left_s(process(), VIDEO, nobody) == NO_LOGIN_RETRY_S
        clock.now_s += NO_LOGIN_RETRY_S


def test_no_secret_is_in_the_record(process, tmp_path):
    process().refused(SECRET, VIDEO)
    process().taken(OTHERS[0], ONVIF)
    (file,) = (path for path in tmp_path.rglob("*.login"))
    content = file.read_bytes()
    assert not any(s.password.encode() in content for s in (SECRET, *OTHERS))
    assert file.stat().st_mode & 0o077 == 0
    assert SECRET.password not in repr(SECRET)


def test_a_record_that_is_torn_or_can_t_be_written_is_lived_without(tmp_path, clock):
    tries = tries_of(tmp_path, "gate", clock)
    tries.refused(SECRET, VIDEO)
    (file,) = tmp_path.rglob("*.login")
    file.write_bytes(file.read_bytes()[:100])
    assert left_s(tries, VIDEO) == VIDEO_RETRY_S  # it remembers for itself
    assert not left_s(tries_of(tmp_path, "gate", clock), VIDEO)

    blocked = tries_of(tmp_path / "gate.file", "gate", clock)
    (tmp_path / "gate.file").write_text("no folder")
    trial = blocked.trial(SECRET, ONVIF)
    trial.begin()
    trial.refused()
    assert left_s(blocked, ONVIF) == BACK_OFF_S


def test_old_secrets_are_forgotten(process, tmp_path):
    for number in range(40):
        process().refused(Secret("10.0.0.7", "admin", str(number)), VIDEO)
    (file,) = tmp_path.rglob("*.login")
    assert file.stat().st_size == login_record._SIZE_BYTES
    assert left_s(process(), VIDEO, Secret("10.0.0.7", "admin", "39"))
    assert not left_s(process(), VIDEO, Secret("10.0.0.7", "admin", "0"))
