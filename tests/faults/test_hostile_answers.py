"""Every answer of a camera may be hostile: a typed error, bounded memory, the others untouched."""

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from agent.cameras.bounded_http import MAX_BODY_BYTES, within_s
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraFailure
from agent.cameras.push_point import PushPoint
from agent.cameras.soap_answer import tells_nothing
from agent.core.clock import SystemClock, wait_s
from agent.core.errors import CommandError
from agent.simulators.camera import onvif_answers
from agent.simulators.camera.onvif_http import HttpReply
from tests.camera_operations import OPERATIONS, offered, staged
from tests.hostile_answers import (
    CANNOT,
    DRIPPING,
    FORBIDDEN,
    HEAVY,
    NO_ANSWER,
    PART_OF_AN_ANSWER,
    REFUSED,
)
from tests.simulated_onvif import LOGIN, control_of, eventually, running_camera

_CLOCK = SystemClock()
_MOST_BYTES = 16 * MAX_BODY_BYTES  # the camera's own share is in it: it runs here, too
_ALL = HEAVY | NO_ANSWER | PART_OF_AN_ANSWER


class Neighbour:
    """Another camera of the box, asked again and again while the first is hostile."""

    def __init__(self, device) -> None:
        self._control = control_of(device, call_s=60.0)
        self._is_over = threading.Event()
        self.answers_total, self.problem = 0, None
        self._thread = threading.Thread(target=self._ask)

    async def __aenter__(self):
        self._thread.start()
        return self

    async def __aexit__(self, *_) -> None:
        self._is_over.set()
        await asyncio.to_thread(self._thread.join)  # its camera is served here meanwhile
        self._control.close()

    def _ask(self) -> None:
        while not wait_s(self._is_over, 0.02):
            try:
                self._control.position()
            except Exception as error:  # noqa: BLE001 - for the test to see
                self.problem = error
                return
            self.answers_total += 1

    async def answers_on(self) -> None:
        seen = self.answers_total
        await eventually(lambda: self.answers_total > seen or self.problem)
        assert self.problem is None


def _peak_bytes() -> int:
    """Return the most memory this process had since `_forget_peak`, or ever."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024


def _forget_peak() -> None:
    with contextlib.suppress(OSError):  # where that is not allowed the peak is of all before, too
        Path("/proc/self/clear_refs").write_text("5")


def _outcome(asked, stage, spoil, *, within: float = 60.0):
    """Return the typed error of an operation whose answer is spoilt, None when it had one."""
    stage.device.faults.spoils = {asked.action: spoil}
    try:
        with within_s(_CLOCK, within):
            asked.ask(stage)
    except (CameraFailure, CommandError) as error:
        return error
    return None


def _is_taken(asked, stage, kind, spoil) -> bool:
    """Give one kind of answer; say whether it was wrongly taken for one."""
    calls = stage.device.calls.count(asked.action)
    error = _outcome(asked, stage, spoil)
    assert asked.action == "GET" or stage.device.calls.count(asked.action) > calls, kind
    is_done = kind == "no body" and tells_nothing(asked.action)
    is_right = is_done or kind in PART_OF_AN_ANSWER or asked.does_without
    return error is None and not is_right


def _drive(asked, stage, kinds) -> list[str]:
    """Give each kind of answer, at last the worst; return the kinds that were taken for one."""
    asked.ask(stage)
    taken = [kind for kind, spoil in kinds.items() if _is_taken(asked, stage, kind, spoil)]
    _outcome(asked, stage, DRIPPING, within=0.1)
    for last in (FORBIDDEN, CANNOT, REFUSED):
        error = _outcome(asked, stage, last)
        assert error is not None or asked.does_without
    stage.control.change_login(LOGIN)
    stage.device.faults.spoils = {}
    asked.ask(stage)  # nothing of all that is left over
    return taken


async def _visit(asked, kinds) -> list[str]:
    async with staged(asked) as stage:
        return await asyncio.to_thread(_drive, asked, stage, kinds)


async def _is_hostile(asked, kinds) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(kinds)))
    lanes = [{kind: spoil} for kind, spoil in kinds.items()] if asked.is_slow else [kinds]
    async with running_camera(serial="SIM-0002") as healthy, Neighbour(healthy) as neighbour:
        await neighbour.answers_on()
        _forget_peak()
        before_bytes = _peak_bytes()
        taken = await asyncio.gather(*(_visit(asked, lane) for lane in lanes))
        grown_bytes = _peak_bytes() - before_bytes
        await neighbour.answers_on()
    assert not any(taken)
    assert grown_bytes < _MOST_BYTES


@pytest.mark.parametrize("asked", OPERATIONS, ids=str)
async def test_no_answer_of_a_hostile_camera_is_more_than_a_typed_error(asked):
    """A third of the kinds and a large one each, in turn: every operation has more than ten."""
    number = OPERATIONS.index(asked)
    small = sorted(NO_ANSWER | PART_OF_AN_ANSWER)[number % 3 :: 3]
    kinds = [*small, sorted(HEAVY)[number % len(HEAVY)]]
    assert len(kinds) + len((DRIPPING, FORBIDDEN, CANNOT, REFUSED)) >= 10
    await _is_hostile(asked, {kind: _ALL[kind] for kind in kinds})


@pytest.mark.long
@pytest.mark.parametrize("asked", OPERATIONS, ids=str)
async def test_no_answer_at_all_of_a_hostile_camera_is_more_than_a_typed_error(asked):
    await _is_hostile(asked, _ALL)


def test_everything_that_may_be_asked_of_a_camera_is_asked_of_a_hostile_one():
    assert {asked.name for asked in OPERATIONS} == offered()


async def test_every_action_that_goes_over_the_wire_is_answered_wrongly_by_a_hostile_camera():
    on_the_wire = set()
    for asked in OPERATIONS:
        async with staged(asked) as stage:
            await asyncio.to_thread(asked.ask, stage)
            on_the_wire |= set(stage.device.calls)
    assert on_the_wire <= {asked.action for asked in OPERATIONS}


async def test_nothing_that_a_hostile_camera_pushes_ends_the_hearing():
    async with running_camera() as device:
        line = OnvifLine(device.url, LOGIN, _CLOCK)
        point = await asyncio.to_thread(PushPoint.open, line, _CLOCK)
        told = onvif_answers.notification(
            "tns1:Device/Trigger/DigitalInput", {}, {"On": "true"}, "Changed", _CLOCK.utc_now()
        )
        good = HttpReply(200, onvif_answers.envelope(onvif_answers.notify([told])))

        def push() -> None:
            for spoil in _ALL.values():
                with contextlib.suppress(requests.RequestException):  # refused for its size
                    requests.post(point._consumer.url, data=spoil(good).body, timeout=30)
            requests.post(point._consumer.url, data=good.body, timeout=30)

        await asyncio.to_thread(push)
        heard = []
        while not point._consumer.waiting.empty():
            heard += await asyncio.to_thread(point.pull, 1.0)
        assert heard[-1].topic == "Device/Trigger/DigitalInput"
        await asyncio.to_thread(point.close)
        line.close()
