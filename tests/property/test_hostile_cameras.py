"""Whatever a camera answers, to whatever is asked: a typed error or an answer, soon, in bounds."""

import asyncio
import contextlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cameras.bounded_http import Answer
from agent.cameras.camera_states import CameraStates
from agent.cameras.discovery import read_announcement
from agent.cameras.notifications import read_notifications
from agent.cameras.port import CameraFailure
from agent.cameras.soap_answer import camera_time, fault_of, parse, problem_of, refuses_login
from agent.core.clock import SystemClock
from agent.core.errors import CameraError, CommandError
from agent.simulators.camera import onvif_answers, onvif_media_answers
from agent.simulators.camera.onvif_media_answers import Encoder
from tests.camera_operations import OPERATIONS, staged

_CLOCK = SystemClock()
_ENCODER = Encoder("encoder-main", (1920, 1080), 15, 30)
_GOOD = [
    onvif_answers.envelope(body)
    for body in (
        onvif_answers.date_and_time(_CLOCK.utc_now(), "NTP", "UTC0"),
        onvif_answers.device_information("a", "b", "c"),
        onvif_answers.network_interfaces("02:00:5e:00:00:01"),
        onvif_answers.relays(("1",)),
        onvif_media_answers.profiles([("main", _ENCODER)], has_ptz=True, is_media2=False),
        onvif_media_answers.profiles([("main", _ENCODER)], has_ptz=True, is_media2=True),
        onvif_answers.fault("Sender", "NotAuthorized", "no"),
        onvif_answers.pulled(
            [
                onvif_answers.notification(
                    "tns1:Device/Trigger/DigitalInput",
                    {"InputToken": "1"},
                    {"LogicalState": "true"},
                    "Changed",
                    _CLOCK.utc_now(),
                )
            ],
            _CLOCK.utc_now(),
            _CLOCK.utc_now(),
        ),
    )
]

_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["put", "take", "double", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=60),
    ),
    min_size=1,
    max_size=12,
)


def _damaged(good: bytes, edits) -> bytes:
    """Return a good answer with bytes changed, taken out, doubled or cut."""
    body = bytearray(good)
    for how, share, put in edits:
        at = int(share * len(body))
        match how:
            case "put":
                body[at : at + 1] = put[:3]
            case "take":
                del body[at : at + len(put)]
            case "double":
                body[at:at] = body[at : at + 3 * len(put)]
            case _:
                del body[max(at, 20) :]
    return bytes(body)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.builds(_damaged, st.sampled_from(_GOOD), _EDITS), st.binary(max_size=2000)),
    st.sampled_from([200, 400, 401, 500]),
)
def test_the_judges_of_answers_raise_typed_errors_only(content, status):
    answer = Answer(status, {"Date": "x"}, content)
    for judge in (fault_of, refuses_login, camera_time):
        with contextlib.suppress(CameraError):
            judge(answer)
    with contextlib.suppress(CameraError):
        problem_of(answer, has_spoken_soap=True)
        states = CameraStates()
        for message in read_notifications(parse(content)):
            states.take(message, 1.0)
        states.tick(1e9)
    assert isinstance(read_announcement(content, "127.0.0.1"), tuple)


async def _visit(asked, edits, status: int) -> None:
    async with staged(asked) as stage:
        await asyncio.to_thread(asked.ask, stage)
        stage.device.faults.spoils = {
            asked.action: lambda good: replace(good, status=status, body=_damaged(good.body, edits))
        }
        with contextlib.suppress(CameraFailure, CommandError):
            await asyncio.to_thread(asked.ask, stage)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(OPERATIONS), _EDITS, st.sampled_from([200, 200, 400, 500]))
def test_damaged_answers_to_any_operation_are_typed_errors_or_answers(asked, edits, status):
    asyncio.run(_visit(asked, edits, status))
