"""`poleside incidents` lists what the box holds, and a verdict given at the box counts."""

import json

import pytest

from agent.commands.verdict import VerdictHandler
from agent.contract.commands import Actor, Command, Nuisance, Verdict
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.local.cli.main import main
from agent.messages.vision import HitState
from agent.settings.model import CameraSettings, Settings
from agent.settings.rules import LoiteringRule
from tests.fake_clock import FakeClock
from tests.incident_box import IncidentBox

ZONE = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))


@pytest.fixture
async def box(tmp_path):
    rule = LoiteringRule(rule_id="door", zone=ZONE, shadow_days=3)
    gate = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/main", rules=(rule,))
    today = FakeClock(SystemClock().utc_now())  # the command line goes by the machine's clock
    async with IncidentBox(tmp_path, today, settings=Settings(cameras=(gate,))) as box:
        await box.took(rule="door", kind="loitering")
        await box.took(rule="yard")
        await box.took(HitState.ENDED, rule="yard")
        yield box


def answer(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["incidents", *arguments])
    assert not ended.value.code
    return capsys.readouterr().out


async def test_incidents_and_what_stayed_in_the_shadow_are_listed(box, tmp_path, capsys):
    folder = ("--data-dir", str(tmp_path))
    (raised,) = json.loads(answer(capsys, "list", "--json", *folder))
    assert (raised["kind"], raised["grade"]) == ("intrusion", "certified-ready")
    assert "gate" in answer(capsys, "list", *folder)
    (would_be,) = json.loads(answer(capsys, "shadow", "--json", *folder))
    assert (would_be["rule_id"], would_be["kind"]) == ("door", "loitering")
    assert "1 a day" in answer(capsys, "shadow", *folder)
    assert "No verdicts" in answer(capsys, "nuisance", *folder)


async def test_a_rule_on_trial_tells_what_it_would_have_raised_in_how_many_days(
    box, tmp_path, capsys
):
    folder = ("--data-dir", str(tmp_path))
    (trial,) = json.loads(answer(capsys, "trials", "--json", *folder))
    assert (trial["camera_id"], trial["rule_id"]) == ("gate", "door")
    assert (trial["raised"], trial["days"]) == (1, 3.0)
    assert "gate/door: would have raised 1 in" in answer(capsys, "trials", *folder)


def order(args):
    return Command(
        id="01KAAAAAAAAAAAAAAAAAAAAAAA",
        args=args,
        box="box-1",
        by=Actor(user="kim"),
        iat=1,
        nbf=1,
        exp=2,
        iss="center",
    )


async def test_a_verdict_is_kept_listed_and_taken_back(box, tmp_path, capsys):
    (incident,) = {event.id for event in await box.told()}
    handler = VerdictHandler(box.db, box.clock)

    async def do(args):
        return await handler(order(args), None)

    await do(Verdict(incident_id=incident, verdict="false"))
    listed = await do(Nuisance())
    assert listed["total"] == 1
    assert listed["verdicts"][0]["verdict"] == "false"
    assert "false (kim)" in answer(capsys, "nuisance", "--data-dir", str(tmp_path))
    await do(Verdict(incident_id=incident, verdict="none"))
    assert (await do(Nuisance(camera_id="gate")))["total"] == 0
    with pytest.raises(CommandError, match="no incident"):
        await do(Verdict(incident_id="unknown", verdict="true"))
    with pytest.raises(CommandError, match="camera"):
        await do(Nuisance(clear=True))
