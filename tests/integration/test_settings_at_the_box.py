"""A technician's changes at the box: over his file, under the center's, and back when they harm."""

import stat

import msgspec
import pytest

from agent.commands.desired import DesiredConfig
from agent.contract.commands import Actor
from agent.contract.config import ConfigStatus, settings_hash
from agent.core.errors import SettingsError
from agent.health.stored_settings import stored_faults
from agent.settings import history
from agent.settings.in_effect import in_effect
from agent.settings.load import (
    DESIRED_FILE,
    LOCAL_FILE,
    read_local,
    write_desired,
)
from agent.settings.trial import LOST_S
from tests.integration.test_desired_config import LONG, SLOW, Lone, audited

TECHNICIAN = Actor(user="page:kim", role="technician")
YARD = {"camera_id": "yard", "onvif_url": "http://10.0.0.2/onvif", "password": "s3cret-word"}
NEW = {"cameras": [YARD]}
BROKER = {"broker": {"urls": ["mqtt://10.0.0.9"]}}


async def test_a_camera_set_at_the_box_outlives_the_center_s_word_and_a_restart(tmp_path):
    async with Lone(tmp_path) as lone:
        box = lone.box
        change = await box.desired.set_here(NEW, TECHNICIAN)
        assert change.added == ("yard",)
        assert box.desired.settings.camera("gate") is not None
        report = await lone.want(1, LONG)
        assert report.hash == settings_hash(LONG)  # the center's own, as it sent it
        assert box.desired.settings.camera("yard").onvif_url == YARD["onvif_url"]
        told = await audited(box)
        assert told[0][0] == "page:kim"
        assert "cameras.yard" in told[0][1]
        assert "s3cret-word" not in repr(told)
    file = tmp_path / LOCAL_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with Lone(tmp_path) as lone:
        assert lone.box.desired.settings.camera("yard") is not None


async def test_what_is_not_valid_as_a_whole_changes_nothing(tmp_path):
    async with Lone(tmp_path) as lone:
        for bad in (
            {"cameras": [{"camera_id": "roof"}]},
            {"cameras": [{"camera_id": "gate", "detect_fps": -1}]},
            {"cameras": [{"camera_id": "gate", "record_audio": True, "audio_reason": "x"}]},
        ):
            with pytest.raises(SettingsError):
                await lone.box.desired.set_here(bad, TECHNICIAN)
        assert read_local(tmp_path) == {}
        assert lone.box.applied == []


async def test_what_the_center_decided_is_not_said_to_be_changed(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(1, SLOW)
        with pytest.raises(SettingsError) as refused:
            await lone.box.desired.set_here(
                {"cameras": [{"camera_id": "gate", "detect_fps": 9.0}]}, TECHNICIAN
            )
        assert refused.value.code == "settings.overruled"


async def test_a_change_at_the_box_that_costs_the_link_goes_back_by_itself(tmp_path):
    async with Lone(tmp_path) as lone:
        box = lone.box
        await lone.want(1, LONG)
        await lone.pass_s(LOST_S + 50)
        await box.desired.set_here(NEW, TECHNICIAN)
        box.works.discard("link")
        await lone.pass_s(LOST_S + 50)
        assert box.desired.report().status is ConfigStatus.ROLLED_BACK
        assert box.desired.settings.camera("yard") is None
        assert box.desired.settings.buffer.segment_s == 30.0  # what was good before stays
        assert read_local(tmp_path) == {}


async def ask_for_a_word(lone: Lone) -> DesiredConfig:
    await lone.box.desired.set_here(BROKER, TECHNICIAN, needs_word=True)
    assert lone.box.desired.confirm_within_s == LOST_S
    return lone.box.desired


async def test_without_a_word_within_five_minutes_it_goes_back_though_all_works(tmp_path):
    async with Lone(tmp_path) as lone:
        before = lone.box.desired.settings.broker
        desired = await ask_for_a_word(lone)
        assert desired.settings.broker != before
        await lone.pass_s(LOST_S + 50)
        assert desired.settings.broker == before
        assert desired.report().errors[0].code == "config.unconfirmed"
        assert desired.confirm_within_s is None
        assert not await desired.confirm()


async def test_a_word_in_time_keeps_it(tmp_path):
    async with Lone(tmp_path) as lone:
        desired = await ask_for_a_word(lone)
        await lone.pass_s(LOST_S - 100)
        assert await desired.confirm()
        await lone.pass_s(150)
        assert not desired.report().on_trial
        assert desired.settings.broker.urls == ("mqtt://10.0.0.9",)


async def test_a_word_is_still_asked_for_after_a_restart(tmp_path):
    async with Lone(tmp_path) as lone:
        await ask_for_a_word(lone)
    async with Lone(tmp_path) as lone:
        assert lone.box.desired.confirm_within_s is not None
        await lone.pass_s(LOST_S + 50)
        assert lone.box.desired.report().status is ConfigStatus.ROLLED_BACK
    assert read_local(tmp_path) == {}


async def test_killed_before_its_outcome_is_written_a_change_still_waits_for_a_word(tmp_path):
    async def is_killed(*_):
        raise KilledError

    async with Lone(tmp_path) as lone:
        before = lone.box.desired.settings.broker
        lone.box.desired._apply = is_killed
        with pytest.raises(KilledError):
            await lone.box.desired.set_here(BROKER, TECHNICIAN, needs_word=True)
    assert read_local(tmp_path) == BROKER
    async with Lone(tmp_path) as lone:
        assert lone.box.desired.confirm_within_s is not None
        await lone.pass_s(LOST_S + 50)
        assert lone.box.desired.settings.broker == before
    assert read_local(tmp_path) == {}


class KilledError(Exception):
    """The process goes here."""


async def test_a_step_back_leaves_whose_box_it_is_and_its_way_to_the_center(tmp_path):
    async with Lone(tmp_path) as lone:
        desired = lone.box.desired
        now = desired.settings
        last = history.versions(tmp_path)[-1]
        of_another = {"site": "site-9", "box": "bx-dead", **BROKER, **NEW}
        then = history.add(tmp_path, msgspec.structs.replace(last, local=of_another))
        await desired.restore(then.number, TECHNICIAN)
        assert desired.settings.camera("yard") is not None
        assert (desired.settings.site, desired.settings.box) == (now.site, now.box)
        assert desired.settings.broker == now.broker
        assert read_local(tmp_path) == NEW


def test_what_the_center_wants_is_for_the_agent_s_eyes_alone(tmp_path):
    write_desired(tmp_path, NEW)
    assert stat.S_IMODE((tmp_path / DESIRED_FILE).stat().st_mode) == 0o600


async def test_what_no_longer_fits_the_file_is_left_out_alone_and_comes_back(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.box.desired.set_here(NEW | LONG, TECHNICIAN)
    file = tmp_path / LOCAL_FILE
    file.write_bytes(file.read_bytes().replace(b"onvif_url", b"onvif_new"))
    async with Lone(tmp_path) as lone:
        desired = lone.box.desired
        assert desired.settings.camera("yard") is None
        assert desired.settings.buffer.segment_s == 30.0
        (fault,) = stored_faults(desired.left_out)
        assert fault.code == "settings.page_left_out"
        assert desired.report().errors == ()  # the center wanted none of it
        await desired.set_here({"timelapse": {"every_s": 900.0}}, TECHNICIAN)
    file.write_bytes(file.read_bytes().replace(b"onvif_new", b"onvif_url"))
    settings = in_effect({}, tmp_path).settings
    assert settings.camera("yard").password == YARD["password"]
    assert (settings.buffer.segment_s, settings.timelapse.every_s) == (30.0, 900.0)
