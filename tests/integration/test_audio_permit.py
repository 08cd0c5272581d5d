"""Only the center's signed word switches a camera's sound on; no file at the box does."""

import pytest

from agent.app.audio_permit import may_record_audio
from agent.commands import config_state
from agent.commands.desired import DesiredConfig
from agent.commands.signature import Signatures
from agent.contract.commands import Actor
from agent.contract.config import Desired, settings_hash
from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.core.errors import SettingsError
from agent.settings.load import SIGNED_FILE, with_desired, write_desired
from agent.simulators.center.commander import load_key, public_keys_file, sign

CLOCK = SystemClock()
ALLOWED = {"cameras": [{"camera_id": "gate", "record_audio": True, "audio_reason": "bell, 7/26"}]}
NO_REASON = {"cameras": [{"camera_id": "gate", "record_audio": True}]}


@pytest.fixture
def table(tmp_path):
    load_key(tmp_path)
    return {
        "data_dir": str(tmp_path),
        "center": {"keys_file": str(public_keys_file(tmp_path))},
        "cameras": [{"camera_id": "gate", "main_url": "rtsp://10.0.0.1/m"}],
    }


def ordered(settings, key, box="box-1"):
    return sign(
        Desired(
            box=box,
            version=1,
            base=0,
            hash=settings_hash(settings),
            settings=settings,
            by=Actor(user="kim"),
            iat=1,
            iss="center",
        ),
        key,
    )


def is_allowed(table, patch):
    settings = with_desired(table, patch)
    return may_record_audio(settings, settings.camera("gate"), CLOCK)


async def test_the_center_s_signed_configuration_switches_it_on_and_off(tmp_path, table):
    db = Database(tmp_path / "box.db", [config_state.PART])
    await db.start()

    async def nothing(*_):
        return None

    config = DesiredConfig(
        CLOCK,
        db,
        Signatures(public_keys_file(tmp_path), "box-1", CLOCK),
        table,
        with_desired(table, {}),
        tmp_path,
        apply=nothing,
        works=frozenset,
        tell=nothing,
        audit=nothing,
    )
    await config.start()
    await config.handle(ordered(ALLOWED, load_key(tmp_path)))
    gate = config.settings.camera("gate")
    assert (gate.record_audio, gate.audio_reason) == (True, "bell, 7/26")
    assert may_record_audio(config.settings, gate, CLOCK)
    with pytest.raises(SettingsError, match="Sound can't be switched on here"):
        await config.patch(ALLOWED, Actor(user="Kim"))
    await db.stop()


def test_no_file_at_the_box_switches_it_on(tmp_path, table):
    with pytest.raises(SettingsError) as refused:
        with_desired({**table, **ALLOWED}, {})
    assert refused.value.code == "settings.only_signed"

    write_desired(tmp_path, ALLOWED)  # somebody with the disk in his hands
    assert not is_allowed(table, ALLOWED)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for token in (
        ordered(ALLOWED, load_key(stranger)),  # another center's word
        ordered(ALLOWED, load_key(tmp_path), box="box-2"),  # for another box
        ordered({"cameras": [{"camera_id": "gate", "name": "x"}]}, load_key(tmp_path)),
        ordered(NO_REASON, load_key(tmp_path)),
        b"not a token",
    ):
        (tmp_path / SIGNED_FILE).write_bytes(token)
        assert not is_allowed(table, ALLOWED)
    (tmp_path / SIGNED_FILE).write_bytes(ordered(ALLOWED, load_key(tmp_path)))
    assert is_allowed(table, ALLOWED)
    assert not is_allowed(table, {})  # taken back since, by the trial of a change


def test_a_wish_without_a_reason_is_refused(table):
    with pytest.raises(SettingsError, match="audio_reason"):
        with_desired(table, NO_REASON)
