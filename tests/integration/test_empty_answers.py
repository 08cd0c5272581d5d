"""What has nothing to tell is done though its answer's body is empty; nothing else is."""

import asyncio

import pytest

from agent.cameras.port import CameraBadResponse
from agent.cameras.soap_answer import answered
from agent.simulators.camera import onvif_answers
from agent.simulators.camera.onvif_http import HttpReply
from tests.simulated_onvif import control_of, running_camera

_EMPTY = onvif_answers.envelope("")


async def test_moves_and_stops_whose_answer_is_empty_are_done():
    async with running_camera() as device:
        empty = lambda _: HttpReply(200, _EMPTY)  # noqa: E731
        device.faults.spoils = {"ContinuousMove": empty, "Stop": empty}
        control = control_of(device)
        await asyncio.to_thread(control.move, 0.5, 0.0, 0.0, 5.0)
        await asyncio.to_thread(control.stop)
        assert [call for call in device.calls if call in device.faults.spoils] == [
            "ContinuousMove",
            "Stop",
        ]
        control.close()


@pytest.mark.parametrize(
    ("operation", "content"),
    [
        ("GetStatus", _EMPTY),
        ("SetPreset", _EMPTY),
        ("Stop", onvif_answers.envelope("<tptz:GetStatusResponse/>")),
        ("Stop", onvif_answers.envelope("words")),
        ("Stop", _EMPTY[: _EMPTY.index(b"Body") + len(b"Body")] + b">"),
    ],
    ids=["asked-for-something", "a-token-is-due", "another-answer", "words", "cut-short"],
)
def test_what_is_no_empty_answer_to_an_order_is_refused(operation, content):
    with pytest.raises(CameraBadResponse):
        answered(content, operation)
