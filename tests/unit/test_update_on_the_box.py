"""An update is installed at a fit moment, and kept only when the agent is as well as before.

The programs asked (poleside, rauc, systemctl) are small scripts on the PATH: what counts is what is
made of their answers.
"""

import json
import os
import re
import sys
import time

import msgspec
import pytest
from click.testing import CliRunner
from poleside_image import provision, small_files, trial, update, version_floor
from poleside_image.programs import ask as programs_ask
from poleside_image.trial import Look, Patience, wait_until_well
from poleside_recipe import parts

from agent.core.clock import boot_id
from agent.local.cli.box import box as box_command
from agent.local.cli.health import Health, HealthFault
from agent.local.cli.health import health as health_command
from hardware.interface import PowerState, Temperature

WELL = {"light": "green", "is_running": True, "faults": []}
LINK_DOWN = {"code": "link.down", "light": "red", "camera_id": None}
CAMERA_GONE = {"code": "camera.unreachable", "light": "red", "camera_id": "gate"}
QUICK = Patience(steady_s=0.0, limit_s=60.0, every_s=0.01, busy_tries=3)


def test_the_gate_understands_what_the_agent_s_own_command_prints(tmp_path):
    told = CliRunner().invoke(health_command, ["--data-dir", str(tmp_path), "--json"])
    health = json.loads(told.output)
    assert trial.what_is_wrong(health, known=()) == "the agent does not answer"
    assert "agent.not_running:" in trial.red_faults(health)
    known = Health(
        light="red",
        is_running=True,
        faults=(HealthFault(code="link.down", light="red", sentence="The link is down."),),
    )
    assert trial.what_is_wrong(msgspec.to_builtins(known), known=["link.down:"]) is None


def test_the_pre_flight_understands_what_the_board_tells():
    board = json.loads(
        msgspec.json.encode(
            {
                "power": PowerState(under_voltage=True),
                "temperatures": [Temperature("cpu-thermal", 91.0)],
            }
        )
    )
    with pytest.raises(update.RefusedError, match="supply is weak"):
        update.check_board(board)
    with pytest.raises(update.RefusedError, match="cpu-thermal 91 °C"):
        update.check_board({**board, "power": None})
    told = CliRunner().invoke(box_command, ["status", "--json"])
    assert {"power", "temperatures"} <= set(json.loads(told.output))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop rights as the unit does")
def test_the_gate_s_rights_are_enough_to_hear_the_agent(tmp_path):
    """The agent's folders are its own, and its page may want a login."""
    unit = (parts.IMAGE_BUILD / "units/poleside-trial.service").read_text()
    (rights,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    kept = "".join(f",+{right.lower().removeprefix('cap_')}" for right in rights.split())
    data = tmp_path / "data"
    (data / "run").mkdir(parents=True)
    note = {"boot": boot_id(), "mono_s": time.monotonic(), "light": "green"}
    (data / "run/health.json").write_text(json.dumps(note))
    settings = tmp_path / "poleside.toml"
    settings.write_text(f'data_dir = "{data}"\n[page]\nlisten = "127.0.0.1:1"\n')
    os.chown(data, 12345, 12345)
    data.chmod(0o700)
    dropped = ["setpriv", f"--bounding-set=-all{kept}", "--inh-caps=-all"]
    poleside = [sys.executable, "-m", "agent.local.cli.main"]
    health = programs_ask([*dropped, *poleside, "health", "--config", str(settings), "--json"])
    assert trial.what_is_wrong(health, known=()) is None


class Programs:
    """Scripts that print what they are told to, and note how they were called."""

    def __init__(self, folder):
        self.folder = folder
        self.log = folder / "calls"
        self.says("poleside", json.dumps(WELL))
        self.says("systemctl", "NRestarts=0")
        self.says("rauc", json.dumps({"version": "1.2.0"}))
        self.says("hostnamectl", "")

    def says(self, name, text, code=0, then=""):
        answer = self.folder / f"{name}.answer"
        answer.write_text(text)
        script = self.folder / name
        script.write_text(
            f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\ncat "{answer}"\n{then}\nexit {code}\n'
        )
        script.chmod(0o755)

    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.defpath}:/usr/bin:/bin")
    return Programs(folder)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "image"
    folder.mkdir()
    return folder


@pytest.fixture
def plan(tmp_path):
    folder = tmp_path / "update"
    folder.mkdir()
    (folder / "new.raucb").write_bytes(b"bundle")
    path = folder / "plan.json"
    path.write_text(json.dumps({"update_id": "u-1", "bundle": "new.raucb"}))
    return path


def outcome_of(plan, data):
    assert update.main([str(plan)], data) == 0
    assert not plan.exists()  # a plan is a wish, not a loop
    return small_files.read(data / update.OUTCOME)


def test_a_system_as_well_as_before_is_kept(programs, data):
    assert trial.main(data, QUICK) == 0
    assert "rauc status mark-good booted" in programs.calls()
    assert small_files.read(data / trial.OUTCOME)["kept"] is True


@pytest.mark.parametrize(
    ("faults", "known", "code"),
    [
        pytest.param([LINK_DOWN], ["link.down:"], 0, id="the link was down before"),
        pytest.param([LINK_DOWN], [], 1, id="the link is down since"),
        pytest.param([CAMERA_GONE], ["camera.unreachable:yard"], 1, id="another camera"),
        pytest.param([{**CAMERA_GONE, "light": "yellow"}], [], 0, id="only a warning"),
    ],
)
def test_only_faults_that_were_there_before_are_forgiven(programs, data, faults, known, code):
    small_files.write(data / trial.BEFORE, {"red": known})
    programs.says("poleside", json.dumps({**WELL, "light": "red", "faults": faults}), code=1)
    assert trial.main(data, Patience(0.0, 60.0 if code == 0 else 0.1, 0.01)) == code
    assert ("rauc status mark-good booted" in programs.calls()) is (code == 0)


@pytest.mark.parametrize(
    ("worked", "works", "code"),
    [
        pytest.param(["camera/gate", "link"], ["camera/gate", "link"], 0, id="as before"),
        pytest.param(["camera/gate", "link"], ["camera/gate"], 1, id="the link does not come"),
        pytest.param(["camera/gate", "link"], ["link"], 1, id="a camera is not recorded"),
        pytest.param([], [], 0, id="both were away before"),
        pytest.param(["link"], None, 0, id="an agent that does not tell"),
    ],
)
def test_what_worked_before_must_work_again(programs, data, worked, works, code):
    small_files.write(data / trial.BEFORE, {"red": [], "works": worked})
    told = WELL | {"works": works}
    programs.says("poleside", json.dumps(told))
    assert trial.main(data, Patience(0.0, 60.0 if code == 0 else 0.1, 0.01)) == code


@pytest.mark.parametrize("printed", ["", "[]", "no such command", '{"is_running": false}'])
def test_an_agent_that_does_not_answer_is_not_kept(programs, data, printed):
    programs.says("poleside", printed)
    assert trial.main(data, Patience(0.0, 0.1, 0.01)) == 1
    assert small_files.read(data / trial.OUTCOME)["why"]


@pytest.mark.parametrize(("unit", "why"), [("nftables", "firewall"), ("poleside-slot", "slot")])
def test_a_system_without_its_firewall_or_its_slot_s_note_is_not_kept(programs, data, unit, why):
    programs.says("systemctl", "failed", then=f'case "$*" in *{unit}*) exit 3 ;; esac')
    assert trial.main(data, Patience(0.0, 0.1, 0.01)) == 1
    assert why in small_files.read(data / trial.OUTCOME)["why"]


def test_what_was_away_at_one_look_alone_is_missed_all_the_same(programs, data):
    programs.says("poleside", json.dumps(WELL | {"faults": [CAMERA_GONE], "works": []}))
    update.note_health(data)
    programs.says("poleside", json.dumps(WELL | {"works": ["link"]}))
    update.note_works_again(data)
    before = small_files.read(data / trial.BEFORE)
    assert before == {"red": ["camera.unreachable:gate"], "works": ["link"]}


def test_a_busy_rauc_is_asked_again_and_not_for_ever(programs, data):
    programs.says("rauc", "already processing a different method", code=1)
    assert trial.main(data, QUICK) == 1
    assert len([call for call in programs.calls() if "mark-good" in call]) == QUICK.busy_tries


def watched(looks, patience):
    """Run the gate on a script of looks, one each `every_s`, the last one for ever."""
    time_s, rest = [0.0], list(looks)

    def pause(seconds):
        time_s[0] += seconds

    wrong = wait_until_well(
        lambda: rest.pop(0) if len(rest) > 1 else rest[0], patience, lambda: time_s[0], pause
    )
    return wrong, time_s[0]


def test_the_agent_must_be_well_for_a_while_without_a_restart():
    patience = Patience(steady_s=60.0, limit_s=300.0, every_s=5.0)
    well, bad = Look(None, "NRestarts=0"), Look("the agent does not answer", "")
    assert watched([well], patience) == (None, 60.0)
    assert watched([bad, bad, well], patience) == (None, 70.0)
    assert watched([well, Look(None, "NRestarts=1")], patience) == (None, 65.0)
    assert watched([bad], patience) == ("the agent does not answer", 300.0)
    restarting = [Look(None, f"NRestarts={turn}") for turn in range(99)]
    assert watched(restarting, patience)[0] == "not steady for 60 s: it restarts"


def begun(plan, data, **told):
    update_id = json.loads(plan.read_text())["update_id"]
    known = {"update_id": update_id, "boot": boot_id(), "count": update.MOST_BEGUN}
    small_files.write(data / update.BEGUN, known | told)


def test_a_plan_that_was_killed_again_and_again_is_put_off_and_told(programs, data, plan):
    begun(plan, data, count=update.MOST_BEGUN - 1)
    assert outcome_of(plan, data)["outcome"] == "installed"
    plan.write_text(json.dumps({"update_id": "u-1", "bundle": "new.raucb"}))
    begun(plan, data)
    told = outcome_of(plan, data)
    assert (told["outcome"], told["code"]) == ("postponed", "update.failed")
    assert "killed" in told["why"]
    plan.write_text(json.dumps({"update_id": "u-1", "bundle": "new.raucb"}))
    begun(plan, data, boot="the one that a power cut ended")
    assert outcome_of(plan, data)["outcome"] == "installed"


def test_one_that_was_killed_before_its_restart_still_restarts(programs, data, plan):
    outcome_of(plan, data)
    before = programs.calls().count("systemctl reboot")
    assert update.main([str(plan)], data) == 0  # systemd starts it again; the plan is done with
    assert programs.calls().count("systemctl reboot") == before + 1
    assert small_files.read(data / update.OUTCOME)["outcome"] == "installed"
    small_files.write(data / update.BEGUN, {"restart": "another boot"})
    assert update.main([str(plan)], data) == 0
    assert programs.calls().count("systemctl reboot") == before + 1


def test_a_good_plan_is_installed_and_the_box_restarted(programs, data, plan):
    programs.says("poleside", json.dumps({**WELL, "faults": [LINK_DOWN]}))
    outcome = outcome_of(plan, data)
    assert outcome == {"update_id": "u-1", "outcome": "installed", "version": "1.2.0"}
    assert small_files.read(data / trial.BEFORE) == {"red": ["link.down:"], "works": []}
    assert programs.calls()[-3:] == [
        f"rauc install {plan.parent / 'new.raucb'}",
        "poleside health --config /etc/poleside/poleside.toml --json",
        "systemctl reboot",
    ]


@pytest.mark.parametrize(
    ("board", "code"),
    [
        ({"power": {"under_voltage": True}}, "update.under_voltage"),
        ({"temperatures": [{"name": "cpu", "celsius": 80.1}]}, "update.hot"),
        ({"power": {"under_voltage": None}, "temperatures": []}, None),
    ],
)
def test_a_weak_or_hot_box_waits_and_an_unknown_one_does_not(programs, data, plan, board, code):
    programs.says("poleside", json.dumps(board))
    outcome = outcome_of(plan, data)
    assert outcome.get("code") == code
    assert outcome["outcome"] == ("postponed" if code else "installed")


def test_a_protected_recording_is_not_disturbed(programs, data, plan):
    (plan.parent / "hold").write_text('{"why": "an alarm is going on"}')
    outcome = outcome_of(plan, data)
    assert [outcome["outcome"], outcome["why"]] == ["postponed", "an alarm is going on"]
    assert programs.calls() == []


def test_an_incident_that_begins_while_it_is_installed_is_not_restarted_into(programs, data, plan):
    hold, waits = plan.parent / "hold", []
    begins = f"""[ "$1" != install ] || echo '{{"why": "an alarm"}}' > "{hold}\""""
    programs.says("rauc", json.dumps({"version": "1.2.0"}), then=begins)

    def pause(_):
        waits.append(programs.calls()[-1])
        if len(waits) == 3:
            hold.unlink()

    assert update.main([str(plan)], data, pause) == 0
    assert [call.split()[:2] for call in waits] == [["poleside", "health"]] * 3  # no restart
    assert small_files.read(data / update.OUTCOME)["outcome"] == "installed"  # told meanwhile
    assert programs.calls()[-1] == "systemctl reboot"


def test_an_agent_that_died_does_not_stop_the_restart_for_ever(plan):
    hold = plan.parent / "hold"
    hold.write_text('{"why": "an alarm"}')
    update.wait_while_held(plan.parent, within_s=0.05)
    assert hold.exists()


def test_in_a_trial_nothing_is_installed_and_the_plan_is_taken_away(
    programs, data, plan, tmp_path, monkeypatch
):
    mark = tmp_path / "trial"
    mark.touch()
    monkeypatch.setattr(update, "TRIAL", mark)
    told = outcome_of(plan, data)
    assert [told["outcome"], told["code"]] == ["postponed", "update.on_trial"]
    assert not any("install" in call for call in programs.calls())


def test_where_no_trial_can_be_started_nothing_is_installed(
    programs, data, plan, tmp_path, monkeypatch
):
    """A Raspberry Pi without our module, or whose firmware does not answer it."""
    told = tmp_path / "pi/proc/device-tree/chosen/bootloader"
    told.mkdir(parents=True)
    (told / "partition").write_bytes((2).to_bytes(4, "big"))
    monkeypatch.setattr(update, "ROOT", tmp_path / "pi")
    told = outcome_of(plan, data)
    assert [told["outcome"], told["code"]] == ["refused", "update.no_trials"]
    assert programs.calls() == []


def test_a_full_disk_waits(data):
    with pytest.raises(update.RefusedError, match="MiB are free"):
        update.check_room(data, least_bytes=2**62)


def test_an_older_version_than_the_floor_is_refused_whoever_signed_it(programs, data, plan):
    small_files.write(data / version_floor.FLOOR, {"floor": "1.10.0"})
    outcome = outcome_of(plan, data)  # 1.2.0: numbers, not letters, are compared
    assert [outcome["outcome"], outcome["code"]] == ["refused", "update.version"]
    assert not any("install" in call for call in programs.calls())


def test_what_rauc_does_not_trust_is_not_installed(programs, data, plan):
    programs.says("rauc", "signature verification failed", code=1)
    assert outcome_of(plan, data)["code"] == "update.not_trusted"


def test_a_broken_agent_can_still_be_replaced(programs, data, plan):
    programs.says("poleside", "Traceback", code=1)
    assert outcome_of(plan, data)["outcome"] == "installed"
    assert small_files.read(data / trial.BEFORE) == {"red": [], "works": []}


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"update_id": "u", "bundle": "../../etc/shadow"},
        {"update_id": "u", "bundle": "gone.raucb"},
        {"update_id": "u", "bundle": "link.raucb"},
        {"update_id": 7, "bundle": "new.raucb"},
    ],
)
def test_a_plan_leads_nowhere_but_to_a_bundle_beside_it(programs, data, plan, wish):
    (plan.parent / "link.raucb").symlink_to("new.raucb")
    plan.write_text(json.dumps(wish))
    assert outcome_of(plan, data)["code"] == "update.plan"
    assert programs.calls() == []


def test_the_floor_never_sinks(data, tmp_path):
    release = tmp_path / "release.json"
    for brought, lowest in [("1.1.0", (1, 1, 0)), ("1.3.0", (1, 3, 0)), ("1.0.0", (1, 3, 0))]:
        release.write_text(json.dumps({"version": "9.9.9", "floor": brought}))
        version_floor.raise_to_image(data, release)
        assert version_floor.floor(data, release) == lowest


def group_of_this_user():
    return os.getgid()


@pytest.mark.parametrize(
    ("code", "has_settings", "said"),
    [
        (0, False, "settings taken"),
        (1, False, "not taken"),
        (0, True, "has settings"),
    ],
)
def test_settings_from_a_stick_are_taken_once_and_only_sound(
    programs, tmp_path, code, has_settings, said
):
    stick, folder = tmp_path / "stick", tmp_path / "settings"
    stick.mkdir()
    folder.mkdir()
    (stick / "poleside.toml").write_text("from the stick")
    if has_settings:
        (folder / "poleside.toml").write_text("its own")
    programs.says("poleside", "cameras[0].name: missing", code=code)
    outcome, is_refused = provision.settings_from(stick, folder, group=group_of_this_user())
    assert said in outcome
    assert is_refused is bool(code)
    left = {path.name: path.read_text() for path in folder.iterdir()}
    expected = {0: "its own" if has_settings else "from the stick"}.get(code)
    assert left == ({"poleside.toml": expected} if expected else {})


def test_a_box_is_named_after_its_machine_without_telling_the_machine_s_id():
    name = provision.hostname("0123456789abcdef0123456789abcdef")
    assert name == provision.hostname("0123456789abcdef0123456789abcdef")
    assert name.startswith("poleside-")
    assert "01234567" not in name


def test_what_came_of_it_can_be_read_by_the_agent_whatever_the_units_umask_is(tmp_path):
    before = os.umask(0o077)
    try:
        small_files.write(tmp_path / "update.json", {"outcome": "refused"})
    finally:
        os.umask(before)
    assert (tmp_path / "update.json").stat().st_mode & 0o777 == 0o644
