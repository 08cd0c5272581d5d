"""`poleside cameras` does to a simulated camera what its help says, in words and as JSON."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cameras import confirmation
from agent.cameras.memory import CameraMemory, save
from agent.core.errors import PolesideError
from agent.local.cli.cameras import cameras
from tests.camera_certificates import Authority
from tests.simulated_onvif import PASSWORD, USERNAME, eventually, running_camera


async def _run(*arguments: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(cameras, arguments))


@pytest.fixture
def login(tmp_path: Path) -> tuple[str, ...]:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n", "utf-8")
    return ("--user", USERNAME, "--password-file", str(file))


@pytest.fixture(params=[False, True], ids=["media 1", "media 2"])
async def camera(request: pytest.FixtureRequest):
    async with running_camera(media2=request.param, name="Pole 7") as device:
        yield device


async def test_probe_says_who_it_is_and_what_it_can(camera, login):
    result = await _run("probe", camera.url, *login, "--json")

    told = json.loads(result.stdout)
    assert told["identity"]["serial"] == "SIM-0001"
    assert (told["main"], told["sub"], told["can_move"]) == ("main", "sub", True)
    assert len(told["relays"]) == len(told["inputs"]) == 2
    assert abs(told["clock_ahead_s"]) < 5
    in_words = await _run("probe", camera.url, *login)
    assert "Pole 7" in in_words.stdout


async def test_a_password_is_asked_for_and_never_taken_from_the_command_line(camera):
    prompted = await asyncio.to_thread(
        lambda: CliRunner().invoke(
            cameras, ["status", camera.url, "--user", USERNAME, "--json"], input=f"{PASSWORD}\n"
        )
    )
    assert '"ok":true' in prompted.stdout
    assert PASSWORD not in prompted.stdout
    refused = await _run("status", camera.url, "--password", PASSWORD)
    assert refused.exit_code == 2


async def test_a_snapshot_is_a_picture_or_an_error(camera, login, tmp_path):
    file = tmp_path / "still.jpg"
    for way in ("digest", "basic", "none"):
        camera.faults.snapshot_login = way
        assert (await _run("snapshot", camera.url, *login, "-o", str(file))).exit_code == 0
        assert file.read_bytes().startswith(b"\xff\xd8\xff")
    camera.faults.snapshot_is_html = True
    broken = await _run("snapshot", camera.url, *login, "-o", str(file))
    assert isinstance(broken.exception, PolesideError)
    assert broken.exception.code == "camera.bad_response"


async def test_a_move_is_stopped_and_a_relay_switched_back(camera, login):
    moved = await _run(
        "ptz", camera.url, "move", *login, "--pan", "1", "--seconds", "0.2", "--json"
    )
    assert json.loads(moved.stdout)["position"]["pan"] > 0
    assert camera.motor.stops_total >= 1

    pulse = await _run("relay", camera.url, "relay-1", *login, "--seconds", "0.1")
    assert pulse.exit_code == 0
    assert camera.system.board.switched == [("relay-1", True), ("relay-1", False)]
    listed = await _run("relay", camera.url, *login, "--json")
    assert [r["token"] for r in json.loads(listed.stdout)["relays"]] == ["relay-1", "relay-2"]


async def test_events_are_told_with_what_they_mean_and_no_subscription_is_left(camera, login):
    listening = asyncio.create_task(
        _run("events", camera.url, *login, "--seconds", "2", "--bell", "input-1", "--json")
    )
    await eventually(lambda: "PullMessages" in camera.calls)
    camera.fire(
        "tns1:Device/Trigger/DigitalInput", {"InputToken": "input-1"}, {"LogicalState": "true"}
    )
    result = await listening

    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert {"rule": "bell-input-1", "kind": "emergency-bell", "turn": "BEGAN"} in [
        one["means"] for one in told
    ]
    assert not camera.events.points


async def test_settings_are_read_back_and_the_difference_is_said(camera, login):
    arguments = ("encoder", camera.url, *login, "--profile", "sub", "--fps", "8", "--json")
    took = json.loads((await _run(*arguments)).stdout)
    assert took == [{"name": "fps", "asked": "8", "got": "8"}]
    camera.faults.ignores_writes = True
    ignored = await _run("encoder", camera.url, *login, "--profile", "sub", "--fps", "9")
    assert "NOT fps" in ignored.stdout


async def test_changed_settings_are_seen_and_set_back(camera, login, tmp_path):
    file = str(tmp_path / "settings.json")
    await _run("settings", camera.url, *login, "--save", file)
    await _run("encoder", camera.url, *login, "--profile", "main", "--gop", "150")
    compare = ("settings", camera.url, *login, "--compare", file, "--json")

    changed = json.loads((await _run(*compare)).stdout)["changed"]
    assert any("GovLength" in change["path"] and change["now"] == "150" for change in changed)
    assert json.loads((await _run(*compare, "--restore")).stdout)["changed"] == []


async def test_the_clock_is_measured_and_set(camera, login):
    camera.faults.clock_offset_s = 7200.0
    told = json.loads((await _run("clock", camera.url, *login, "--set", "--json")).stdout)
    assert told["before_s"] == pytest.approx(7200, abs=5)
    assert abs(told["after_s"]) < 5


async def test_a_new_password_works_or_the_old_one_still_does(camera, login, tmp_path):
    new = tmp_path / "new"
    change = ("password", camera.url, *login, "--new-password-file", str(new))
    camera.faults.half_takes_password = True
    refused = await _run(*change)
    assert isinstance(refused.exception, PolesideError)
    assert (await _run("status", camera.url, *login)).exit_code == 0

    camera.faults.half_takes_password = False
    assert (await _run(*change)).exit_code == 0
    assert camera.login.password == new.read_text("utf-8") != PASSWORD
    assert new.stat().st_mode & 0o777 == 0o600


async def test_a_dump_has_everything_but_secrets(camera, login, tmp_path):
    camera.config = camera.config.__class__(
        **{name: getattr(camera.config, name) for name in camera.config.__struct_fields__}
        | {"rtsp_main_url": "rtsp://me:secret@10.0.0.1/main"}
    )
    file = tmp_path / "dump.json"
    assert (await _run("dump", camera.url, *login, "-o", str(file))).exit_code == 0
    text = file.read_text("utf-8")
    assert "GetProfiles" in text
    assert PASSWORD not in text
    assert "secret" not in text


async def test_texts_and_masks_are_written_and_read_back(camera, login):
    async def told(*arguments):
        return json.loads((await _run(*arguments, *login, "--json")).stdout)

    changed = await told("osd", camera.url, "set", "--token", "osd-1", "--text", "Pole <7>")
    assert (changed["asked"], changed["got"]) == ("Pole <7>", "Pole <7>")
    more = await told("osd", camera.url, "add", "--text", "Case 8", "--corner", "LowerLeft")
    assert [one["text"] for one in more["texts"]] == ["Pole <7>", "Case 8"]
    await told("osd", camera.url, "remove", "--token", more["texts"][1]["token"])
    assert "Pole <7>" in (await _run("osd", camera.url, *login)).stdout

    corners = ("--corner", "0.1", "0.1", "--corner", "0.5", "0.1", "--corner", "0.5", "0.4")
    covering = await _run("masks", camera.url, "add", *corners, *login, "--json")
    if not camera.config.media2:
        assert isinstance(covering.exception, PolesideError)
        return
    (mask,) = json.loads(covering.stdout)["masks"]
    assert [round(c, 3) for corner in mask["polygon"] for c in corner] == [
        *(0.1, 0.1, 0.5, 0.1, 0.5, 0.4)
    ]
    assert mask["token"] in (await _run("masks", camera.url, *login)).stdout
    left = await told("masks", camera.url, "remove", "--token", mask["token"])
    assert left["masks"] == []


async def test_discovery_finds_it_by_multicast_and_by_address(unused_tcp_port):
    async with running_camera(discovery_port=unused_tcp_port, name="Pole 9") as device:
        common = ("--port", str(unused_tcp_port), "--wait", "1", "--json")
        for way in (("--interface", "127.0.0.1"), ("--host", "127.0.0.1/32")):
            found = json.loads((await _run("discover", *way, *common)).stdout)
            assert [(f["name"], f["url"]) for f in found] == [("Pole 9", device.url)]


async def test_a_camera_with_two_addresses_is_one_line(unused_tcp_port):
    two = {"discovery_port": unused_tcp_port}
    async with running_camera(**two) as one, running_camera(**two, host="127.0.0.2") as same:
        assert one.epr == same.epr
        asked = ("--interface", "127.0.0.1", "--port", str(unused_tcp_port), "--wait", "1")
        (found,) = json.loads((await _run("discover", *asked, "--json")).stdout)
        assert {found["url"], *found["other_urls"]} == {one.url, same.url}


async def test_known_rtsp_paths_are_tried(unused_tcp_port):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status = "200 OK" if b"/stream1 " in head else "404 Not Found"
        writer.write(f"RTSP/1.0 {status}\r\nCSeq: 1\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await _run("discover", "--rtsp", f"127.0.0.1:{port}", "--json")
        silent = "--host", "127.0.0.1", "--port", f"{unused_tcp_port}", "--wait", "0.2"
        without = await _run("discover", *silent, "--rtsp-port", f"{port}", "--json")
    found = {(f["maker"], f["path"]) for f in json.loads(result.stdout)}
    assert ("tp-link", "/stream1") in found
    urls = {(told["maker"], told["url"]) for told in json.loads(without.stdout)}
    assert ("tp-link", f"rtsp://127.0.0.1:{port}/stream1") in urls
    nobody = await _run("discover", "--rtsp", f"127.0.0.1:{unused_tcp_port}")
    assert isinstance(nobody.exception, PolesideError)


@pytest.mark.parametrize("name", sorted(cameras.commands))
async def test_each_command_teaches(name):
    result = await _run(name, "--help")
    assert len(result.stdout) > 200


async def test_a_head_is_sent_to_places_presets_and_home(camera, login):
    async def ptz(*arguments):
        return await _run("ptz", camera.url, *arguments, *login)

    went = json.loads((await ptz("goto", "--pan", "0.1", "--tilt", "0.1", "--json")).stdout)
    assert went["position"]["pan"] == pytest.approx(0.1, abs=1e-3)
    listed = json.loads((await ptz("presets", "--json")).stdout)
    assert [kept["token"] for kept in listed["presets"]] == ["1", "2"]
    assert "Preset 2" in (await ptz("presets")).stdout
    assert "pan 0.0" in (await ptz("goto", "--preset", "2")).stdout
    await ptz("turn", "--pan", "0.05")
    assert "pan 0.0" in (await ptz("home")).stdout
    assert "-1 to 1" in (await ptz("status")).stdout
    assert (await ptz("goto", "--preset", "9")).exit_code != 0
    assert (await ptz("goto")).exit_code == 2


async def test_a_camera_is_confirmed_by_an_id_that_the_box_knows(tmp_path):
    (tmp_path / "cameras" / "gate").mkdir(parents=True)
    save(tmp_path, "yard", CameraMemory())
    folder = ("--data-dir", str(tmp_path))
    wrong = await _run("confirm", "gaet", *folder)
    assert isinstance(wrong.exception, PolesideError)
    assert wrong.exception.code == "camera.unknown"
    assert "gate, yard" in wrong.exception.hint
    for camera_id in ("gate", "yard"):
        assert (await _run("confirm", camera_id, *folder)).exit_code == 0
        assert confirmation.take(tmp_path, camera_id)


async def test_a_camera_that_an_authority_vouches_for_is_believed_by_its_file(tmp_path, login):
    authority = Authority(tmp_path)
    authority.server("127.0.0.1")
    file = str(tmp_path / "127.0.0.1.pem")
    async with running_camera(tls_files=(file, file)) as device:
        refused = await _run("status", device.url, *login)
        assert refused.exception.code == "camera.tls"
        trusted = await _run("status", device.url, *login, "--ca", str(authority.ca_file))
        assert trusted.exit_code == 0, trusted.output
