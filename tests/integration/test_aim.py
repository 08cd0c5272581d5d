"""A place on the map becomes the direction a real head looks in, on a leaning pole.

How the pole leans is known to the simulated world alone (scipy and pymap3d); the box learns it from
four landmarks, or the camera knows it itself (GeoMove).
"""

import asyncio
import json
import math
from contextlib import asynccontextmanager

import numpy as np
import pymap3d
import pytest
from click.testing import CliRunner
from scipy.spatial.transform import Rotation

from agent.cameras.gate import CameraGate
from agent.cameras.ptz_sectors import Sector, Sectors
from agent.cameras.zeep_backend import ZeepCamera
from agent.commands.aim import Aimer, AimHandler
from agent.commands.ptz_lease import Leases
from agent.contract.commands import Actor, Command
from agent.contract.ptz_args import CameraAim
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.core.ids import new_ulid
from agent.local.cli.cameras import cameras
from agent.pointing.geodesy import Place
from agent.settings.model import CameraSettings
from agent.settings.stand import LandmarkSettings, StandSettings
from agent.simulators.camera.onvif_settings import SimulatedPlace
from agent.simulators.camera.ptz_motor import MotorPosition
from tests.simulated_onvif import LOGIN, PASSWORD, USERNAME, eventually, running_camera

LENS = (37.5665, 126.9780, 46.0)
GROUND_M = 40.0
YAW_DEG, LEAN = 35.0, (1.6, -1.2)  # two degrees in all
WORLD_OF_MOUNT = Rotation.from_euler("yx", [LEAN[0], -LEAN[1]], degrees=True)
CLOCK = SystemClock()
MARKS = ((20, 40), (110, 60), (200, 80), (290, 50))
KIM, LEE = Actor(user="kim"), Actor(user="lee")


def place(bearing_deg, range_m, up_m=GROUND_M - LENS[2]):
    angle = math.radians(bearing_deg)
    east, north = range_m * math.sin(angle), range_m * math.cos(angle)
    return pymap3d.enu2geodetic(east, north, up_m, *LENS)


def toward(where):
    vector = np.array(pymap3d.geodetic2enu(*where, *LENS))
    return vector / np.linalg.norm(vector)


def reported(where):
    """What the camera reports when it looks there: shares of 180 and 90 degrees."""
    x, y, z = WORLD_OF_MOUNT.inv().apply(toward(where))
    pan_deg = (math.degrees(math.atan2(x, y)) - YAW_DEG + 180) % 360 - 180
    return pan_deg / 180, math.degrees(math.asin(z)) / 90


def off_deg(at: MotorPosition, where):
    """How far from `where` the camera truly looks."""
    azimuth, height = math.radians(at.pan * 180 + YAW_DEG), math.radians(at.tilt * 90)
    flat = math.cos(height)
    looks = WORLD_OF_MOUNT.apply(
        [flat * math.sin(azimuth), flat * math.cos(azimuth), math.sin(height)]
    )
    return math.degrees(math.acos(min(1.0, float(looks @ toward(where)))))


def stand(marks=MARKS):
    seen = [(place(*mark), reported(place(*mark))) for mark in marks]
    landmarks = tuple(
        LandmarkSettings(lat=where[0], lon=where[1], height_m=GROUND_M, pan=at[0], tilt=at[1])
        for where, at in seen
    )
    lat, lon, height_m = LENS
    return StandSettings(
        lat=lat, lon=lon, height_m=height_m, above_ground_m=6.0, landmarks=landmarks
    )


class Rig:
    def __init__(self, camera, sectors, settings):
        self.camera = camera
        self.gate = CameraGate(
            lambda: ZeepCamera(camera.url, LOGIN, CLOCK), CLOCK, sectors=Sectors(sectors)
        )
        self.link_is_up = True
        self.leases = Leases(CLOCK, lambda _: self.gate, lambda: self.link_is_up)
        told = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/m", stand=settings)
        self.aimer = Aimer(lambda _: self.gate, [told])
        self.handler = AimHandler(self.aimer, self.leases)
        self.told = []

    async def aim(self, where, by=KIM, iss="c", **fields):
        at = CLOCK.utc_now()
        args = CameraAim(
            **({"camera_id": "gate", "lat": where[0], "lon": where[1], "hold_s": 5.0} | fields)
        )
        command = Command(id=new_ulid(at), args=args, box="b", by=by, iat=0, nbf=0, exp=0, iss=iss)

        async def progress(_, result=None):
            self.told.append(result)

        return await self.handler(command, progress)


@asynccontextmanager
async def rig(settings, sectors=(), **config):
    async with running_camera(**config) as camera:
        made = Rig(camera, sectors, settings)
        try:
            yield made
        finally:
            await made.gate.close()


async def arrives(here, where, within_deg):
    """It stands, and looks there."""
    motor = here.camera.motor
    await eventually(lambda: motor.moves_total and not motor.is_moving)
    off = off_deg(motor.position(), where)
    assert off <= within_deg
    return off


@pytest.mark.parametrize("target", [(60, 45), (150, 30), (250, 100)])
async def test_the_head_looks_at_the_place_by_its_landmarks(target):
    async with rig(stand()) as here:
        where = place(*target)
        aiming = asyncio.create_task(here.aim(where, area_m=10.0, hold_s=30.0))
        await eventually(lambda: here.told)
        off = await arrives(here, where, 1.0)
        (told,) = here.told
        print("residual", told["residual_deg"], "off", round(off, 3))  # noqa: T201
        assert (told["by"], told["model"]) == ("calibration", "full")
        assert told["residual_deg"] < 0.1
        assert told["range_m"] == pytest.approx(math.hypot(target[1], 6), abs=1.0)
        aiming.cancel()
        await asyncio.wait([aiming])


async def test_a_camera_that_knows_the_map_is_left_to_turn_itself():
    lat, lon, height_m = LENS
    told = SimulatedPlace(
        lat=lat,
        lon=lon,
        height_m=height_m,
        yaw_deg=YAW_DEG,
        lean_east_deg=LEAN[0],
        lean_north_deg=LEAN[1],
    )
    async with rig(None, place=told) as here:
        where = place(60, 45)
        result = await here.aim(where, height_m=GROUND_M, hold_s=3.0)
        assert (result["by"], result["ended"]) == ("geo-move", "expired")
        assert "GeoMove" in here.camera.calls
        await arrives(here, where, 0.1)


async def test_without_a_height_a_camera_that_knows_the_map_goes_by_its_own_ground():
    lat, lon, height_m = LENS
    told = SimulatedPlace(
        lat=lat, lon=lon, height_m=height_m, above_ground_m=6.0, yaw_deg=YAW_DEG,
        lean_east_deg=LEAN[0], lean_north_deg=LEAN[1],
    )  # fmt: skip
    async with rig(None, place=told) as here:
        aiming = asyncio.create_task(here.aim(place(60, 45), hold_s=30.0))
        await arrives(here, place(60, 45), 0.1)
        aiming.cancel()
        await asyncio.wait([aiming])


async def test_at_the_box_it_is_aimed_without_the_center():
    async with rig(stand()) as here:
        here.link_is_up = False
        assert (await here.aim(place(60, 45), iss="local", hold_s=1.0))["ended"] == "expired"
        assert (await here.aim(place(60, 45), hold_s=1.0))["ended"] == "link lost"


async def refused(here, where, **fields):
    with pytest.raises(CommandError) as caught:
        await here.aim(where, **fields)
    assert here.camera.motor.moves_total == 0
    return caught.value.code


async def test_what_must_not_or_cannot_be_looked_at_is_refused_with_a_code():
    pan, tilt = reported(place(60, 45))
    school = Sector(pan - 0.05, pan + 0.05, tilt - 0.1, tilt + 0.1)
    async with rig(stand(), [school]) as here:
        assert await refused(here, place(60, 45)) == "ptz.forbidden"
        assert await refused(here, place(0, 0), height_m=LENS[2]) == "aim.too_near"
        assert here.leases.is_free("gate")
    async with rig(None) as here:
        assert await refused(here, place(60, 45)) == "aim.no_stand"
    async with rig(stand(MARKS[:2])) as here:
        assert await refused(here, place(60, 45)) == "aim.calibration"


async def test_an_aim_can_be_tried_and_the_camera_stays_where_it_is():
    pan, tilt = reported(place(150, 30))
    school = Sector(pan - 0.05, pan + 0.05, tilt - 0.1, tilt + 0.1)
    async with rig(stand(), [school]) as here:
        where = place(60, 45)
        told = await here.aimer.try_out("gate", Place(*where), 10.0, has_height=False)
        assert (told["pan"], told["tilt"]) == pytest.approx(reported(where), abs=0.003)
        with pytest.raises(CommandError) as caught:
            await here.aimer.try_out("gate", Place(*place(150, 30)), 10.0, has_height=False)
        assert caught.value.code == "ptz.forbidden"
        assert here.camera.motor.moves_total == 0


async def test_a_place_beyond_the_heads_range_is_refused():
    async with rig(stand()) as here:
        here.camera.faults.highest_tilt = 0.1
        assert await refused(here, place(60, 45), height_m=90.0) == "aim.out_of_reach"


async def test_who_holds_the_camera_for_more_is_not_turned_away_from():
    async with rig(stand()) as here:
        fire = asyncio.create_task(here.aim(place(60, 45), LEE, purpose="119", hold_s=30.0))
        await eventually(lambda: here.told)
        with pytest.raises(CommandError) as caught:
            await here.aim(place(150, 30))
        assert caught.value.code == "ptz.taken"
        fire.cancel()
        await asyncio.wait([fire])


async def test_landmarks_are_noted_one_by_one_and_fitted(tmp_path):
    password, notes = tmp_path / "password", tmp_path / "gate.json"
    password.write_text(PASSWORD)
    lens = ",".join(map(str, LENS))
    async with running_camera() as camera:
        for number, (bearing, range_m) in enumerate(((40, 30), (55, 60), (70, 90), (85, 40))):
            where = place(bearing, range_m)
            camera.motor.goto(MotorPosition(*reported(where)))
            await eventually(lambda: not camera.motor.is_moving)
            mark = f"{where[0]:.8f},{where[1]:.8f},{GROUND_M}"
            given = ["calibrate", camera.url, str(notes), "--mark", mark, "--lens", lens]
            login = ["--user", USERNAME, "--password-file", str(password), "--json"]
            done = await asyncio.to_thread(CliRunner().invoke, cameras, [*given, *login])
            assert done.exit_code == 0, done.output
            told = json.loads(done.stdout)
            assert told["landmarks"] == number + 1
        assert told["residual_deg"] < 0.1
        shown = await asyncio.to_thread(
            CliRunner().invoke, cameras, ["calibrate", camera.url, str(notes), *login[:-1]]
        )
        assert "stand = {lat = 37.5665" in shown.stdout
