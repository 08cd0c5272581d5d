"""A camera is looked after by signed orders: asked, got, and no secret in any message."""

import asyncio
import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from joserfc import jwe
from joserfc.jwk import OKPKey

from agent.commands.ptz_key import KeyOffer
from agent.contract.camera_args import (
    CameraCare,
    CameraEncoder,
    CameraMasks,
    CameraOsd,
    CameraPassword,
)
from agent.contract.commands import Relay, ReplyState
from agent.contract.ptz_args import PtzLease, PtzMove, PtzRelease
from agent.settings.camera_io import CameraRelay
from agent.settings.camera_secret import password_of
from agent.simulators.camera.ptz_motor import MotorPosition
from tests.onvif_box import station
from tests.simulated_onvif import PASSWORD, eventually, running_camera

_TRIANGLE = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.4))


@pytest.fixture(params=[False, True], ids=["media 1", "media 2"])
async def camera(request):
    async with running_camera(media2=request.param) as device:
        yield device


async def test_texts_masks_encoders_and_clock_are_set_by_order_and_read_back(
    camera, tmp_path, unused_tcp_port
):
    async with station(tmp_path, camera, unused_tcp_port) as at:

        async def did(args):
            reply = await at.order(args)
            assert reply.state is ReplyState.DONE, reply
            return reply.result

        told = await did(CameraOsd(camera_id="gate", action="set", token="osd-1", text="Pole 7"))
        assert (told["asked"], told["got"]) == ("Pole 7", "Pole 7")
        await did(CameraOsd(camera_id="gate", action="add", text="Case <8>"))
        told = await did(CameraOsd(camera_id="gate"))
        assert [one["text"] for one in told["texts"]] == ["Pole 7", "Case <8>"]
        token = told["texts"][1]["token"]
        told = await did(CameraOsd(camera_id="gate", action="remove", token=token))
        assert len(told["texts"]) == 1

        told = await did(CameraEncoder(camera_id="gate", stream="sub", gop=12))
        assert told["changed"] == [{"name": "gop", "asked": "12", "got": "12"}]
        camera.faults.ignores_writes = True
        told = await did(CameraEncoder(camera_id="gate", gop=20))
        assert told["changed"] == [{"name": "gop", "asked": "20", "got": "30"}]
        camera.faults.ignores_writes = False

        camera.faults.clock_offset_s = 90.0
        told = await did(CameraCare(camera_id="gate", action="clock"))
        assert told["before_s"] == pytest.approx(90, abs=5)
        assert abs(told["after_s"]) < 5

        masks = await at.order(CameraMasks(camera_id="gate", action="add", polygon=_TRIANGLE))
        if camera.config.media2:
            assert len(masks.result["masks"]) == 1
            token = masks.result["token"]
            told = await did(CameraMasks(camera_id="gate", action="remove", token=token))
            assert told["masks"] == []
        else:
            assert masks.code == "camera.not_supported"


async def test_what_was_set_by_order_is_no_drift_and_what_was_not_is_set_back(
    tmp_path, unused_tcp_port
):
    async with (
        running_camera(media2=True) as camera,
        station(tmp_path, camera, unused_tcp_port) as at,
    ):
        await eventually(lambda: at.desk.kept_settings("gate"))
        await at.order(CameraOsd(camera_id="gate", action="set", token="osd-1", text="Pole 7"))
        await at.order(CameraMasks(camera_id="gate", action="add", polygon=_TRIANGLE))
        await eventually(lambda: "Pole 7" in at.desk.kept_settings("gate").values())
        await eventually(lambda: any("Masks[" in p for p in at.desk.kept_settings("gate")))
        assert at.desk.facts("gate").drift == ()

        camera.media.state.osds.clear()
        camera.media.state.masks.clear()
        camera.imaging.values["IrCutFilter"] = "OFF"
        camera.media.state.encoders["main"] = camera.media.state.encoders["sub"]
        compared = await at.order(CameraCare(camera_id="gate", action="compare"))
        assert {
            d["path"].partition("[")[0].partition("/")[0] for d in compared.result["differs"]
        } >= {
            "OSDs",
            "Masks",
            "Imaging",
        }
        restored = await at.order(CameraCare(camera_id="gate", action="restore"))
        assert restored.state is ReplyState.DONE, restored
        assert [o.text for o in camera.media.state.osds.values()] == ["Pole 7"]
        assert len(camera.media.state.masks) == 1
        assert camera.imaging.values["IrCutFilter"] == "AUTO"

        at.desk.changed_by_us("gate")  # look at once
        await eventually(lambda: at.desk.facts("gate").drift)
        await at.order(CameraCare(camera_id="gate", action="accept"))
        await eventually(lambda: not at.desk.facts("gate").drift)


async def test_a_password_is_made_at_the_box_and_is_in_no_message(tmp_path, unused_tcp_port):
    async with (
        running_camera() as camera,
        station(tmp_path, camera, unused_tcp_port) as at,
    ):
        private = X25519PrivateKey.generate()
        seal_for = base64.urlsafe_b64encode(private.public_key().public_bytes_raw()).decode()[:43]
        refused = await at.order(CameraPassword(camera_id="gate", seal_for="A" * 43))
        reply = await at.order(CameraPassword(camera_id="gate", seal_for=seal_for))
        assert refused.code == "camera.bad_key"
        assert reply.state is ReplyState.DONE, reply

        made = camera.login.password
        assert made != PASSWORD
        assert password_of(tmp_path, next(iter(at.desk._wanted.values()))) == made
        key = OKPKey.import_key(
            {
                "kty": "OKP",
                "crv": "X25519",
                "x": seal_for,
                "d": base64.urlsafe_b64encode(private.private_bytes_raw()).decode()[:43],
            }
        )
        assert jwe.decrypt_compact(reply.result["sealed"], key).plaintext.decode() == made
        assert made not in repr(reply)
        for file in tmp_path.rglob("*"):
            if file.is_file() and file.parent.name != "secrets":
                assert made.encode() not in file.read_bytes(), file
        secret = tmp_path / "secrets" / "gate.json"
        assert secret.stat().st_mode & 0o777 == 0o600

        refusals = camera.login.refused_total  # all lines use it: none tries the old one again
        assert (await at.order(CameraOsd(camera_id="gate"))).state is ReplyState.DONE
        again = await at.order(CameraPassword(camera_id="gate"))
        assert again.state is ReplyState.DONE
        assert camera.login.password != made
        assert camera.login.refused_total <= refusals + 1


async def test_a_password_that_the_camera_only_says_it_took_is_rolled_back(
    tmp_path, unused_tcp_port
):
    async with (
        running_camera() as camera,
        station(tmp_path, camera, unused_tcp_port) as at,
    ):
        camera.faults.half_takes_password = True
        reply = await at.order(CameraPassword(camera_id="gate"))
        assert (reply.state, reply.code) == (ReplyState.FAILED, "camera.bad_response")
        assert "the old one works" in reply.message
        assert (await at.order(CameraOsd(camera_id="gate"))).state is ReplyState.DONE
        assert camera.login.password == PASSWORD


async def test_a_relay_is_switched_by_the_centers_order_end_to_end(tmp_path, unused_tcp_port):
    allowed = (CameraRelay(token="relay-1", max_on_s=5.0),)
    async with (
        running_camera() as camera,
        station(tmp_path, camera, unused_tcp_port, relays=allowed) as at,
    ):
        await eventually(lambda: camera.system.board.switched)
        reply = await at.order(Relay(camera_id="gate", relay="relay-1", on=True, for_s=0.5))
        assert reply.state is ReplyState.DONE, reply
        assert ("relay-1", True) in camera.system.board.switched
        await eventually(lambda: not camera.system.board.active["relay-1"])
        reply = await at.order(Relay(camera_id="gate", relay="relay-2", on=True, for_s=0.5))
        assert reply.code == "relay.not_allowed"


async def test_a_move_needs_a_lease_if_only_for_itself(tmp_path, unused_tcp_port):
    async with (
        running_camera() as camera,
        station(tmp_path, camera, unused_tcp_port) as at,
    ):
        refused = await at.order(PtzMove(camera_id="gate", pan=0.5))
        assert (refused.state, refused.code) == (ReplyState.FAILED, "ptz.no_lease")
        assert camera.motor.moves_total == 0

        move = PtzMove(camera_id="gate", pan=0.5, timeout_s=0.5, purpose="operator")
        reply = await at.order(move)
        assert reply.state is ReplyState.DONE, reply
        assert (reply.result["outcome"], reply.result["ended"]) == ("sent", "expired")
        assert camera.motor.position().pan > 0
        assert not camera.motor.is_moving
        assert [(op, actor, outcome) for op, actor, outcome, _ in at.noted] == [
            ("ptz.lease", "kim", "granted"),
            ("ptz.lease", "kim", "ended"),
        ]
        assert reply.id in at.noted[0][3]


async def test_presets_that_somebody_moved_are_set_back_for_the_holder(tmp_path, unused_tcp_port):
    async with (
        running_camera() as camera,
        station(tmp_path, camera, unused_tcp_port) as at,
    ):
        camera.head._kept["2"] = ("east", MotorPosition(pan=0.1))
        at.desk.changed_by_us("gate", "Presets")
        await eventually(lambda: at.desk.kept_settings("gate").get("Presets[2]/pan") == "0.10")
        camera.head._kept["2"] = ("east", MotorPosition(pan=-0.4))

        restore = CameraCare(camera_id="gate", action="restore")
        untouched = await at.order(restore)
        assert untouched.result["total"] == 1
        assert camera.head._kept["2"][1].pan == -0.4

        lease = PtzLease(camera_id="gate", key=KeyOffer().public)
        holding = asyncio.create_task(at.order(lease))
        await eventually(lambda: not at.box.leases.is_free("gate"))
        restored = await at.order(restore)
        assert restored.result["changed"][0]["got"] == "east at 0.10, 0.00, 0.00"
        assert restored.result["total"] == 0
        assert camera.head._kept["2"][1].pan == pytest.approx(0.1, abs=1e-3)
        (held,) = at.box.leases._by_camera.values()
        await at.order(PtzRelease(lease=held.lease_id))
        await holding


async def test_the_birth_document_is_told_again_once_a_camera_is_known(tmp_path, unused_tcp_port):
    async with (
        running_camera() as camera,
        station(tmp_path, camera, unused_tcp_port) as at,
    ):
        at.box.presence._facts = at.desk.known
        told = []
        said = at.box.presence._info
        at.box.presence._info = lambda: told.append(at.desk.known()) or said()
        await eventually(lambda: (ears := at.desk.ears("gate")) and ears.status.opened_total)
        await eventually(lambda: told and told[-1] == at.desk.known())
        born = len(told)
        camera.config = msgspec.structs.replace(camera.config, name="Newer firmware")
        camera.reboot(0.2)
        await eventually(lambda: at.desk.facts("gate").device.model == "Newer firmware")
        await eventually(lambda: len(told) > born and told[-1] == at.desk.known())
