"""What hangs on the pole: contacts that are read and outputs that are switched."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.contract.events import Slug

MAX_ON_S = 24 * 3600


class Meaning(StrEnum):
    """What it means that a contact is active."""

    BELL = "bell"
    DOOR = "door"
    MAINS_LOST = "mains-lost"
    ON_BATTERY = "on-battery"
    FAN_STOPPED = "fan-stopped"
    SURGE_ARRESTER = "surge-arrester"
    TILT = "tilt"
    HEAT = "heat"
    SMOKE = "smoke"
    WATER = "water"
    CLAIM = "claim"  # the button inside the cabinet that takes the box over: somebody is there


class Purpose(StrEnum):
    """What an output is for."""

    SIREN = "siren"
    LIGHT = "light"
    BARRIER = "barrier"
    FAN = "fan"
    HEATER = "heater"
    CAMERA_POWER = "camera-power"
    BELL_TEST = "bell-test"


class InputSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One contact. `line` as the board names it (`poleside box lines`).

    A changeover contact has a second line, `closed_line`, which is active while the first is not:
    both alike for longer than a moment is a cut or shorted wire. A contact active for longer than
    `stuck_after_s` (0: never) is stuck. `camera_id` is shown with the call. `test_output` presses a
    bell electrically once a day.
    """

    input_id: Slug
    meaning: Meaning
    line: Annotated[str, Meta(min_length=1)]
    closed_line: str = ""
    active_low: bool = True
    pull: Literal["up", "down", "none", "as-is"] = "up"
    debounce_ms: Annotated[int, Meta(ge=0, le=2000)] = 30
    stuck_after_s: Annotated[float, Meta(ge=0, le=86400)] = 0.0
    camera_id: str = ""
    test_output: str = ""

    def stuck_s(self) -> float | None:
        """Return after how long it is stuck: by default a bell after a minute, nothing else."""
        if self.stuck_after_s:
            return self.stuck_after_s
        return 60.0 if self.meaning is Meaning.BELL else None


class OutputSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One output: its safe state holds at start and exit, and `max_on_s` at most it leaves it.

    So long whatever is ordered, and however often: only after `rest_s` in its safe state does the
    time count anew.
    """

    output_id: Slug
    purpose: Purpose
    line: Annotated[str, Meta(min_length=1)]
    active_low: bool = False
    is_on_when_safe: bool = False
    max_on_s: Annotated[float, Meta(gt=0, le=MAX_ON_S)] = 600.0
    rest_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0


class SignSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One LED sign that speaks the Alpha protocol: tcp://host:port, or the path of a serial device.

    On a simulated board `address` is a file's name. It is dark at start and exit, and after
    `max_on_s` at most.
    """

    sign_id: Slug
    address: Annotated[str, Meta(min_length=1, max_length=200)]
    max_on_s: Annotated[float, Meta(gt=0, le=MAX_ON_S)] = 3600.0


class PoleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All contacts and outputs. An output that is not listed here can't be switched by anybody."""

    inputs: tuple[InputSettings, ...] = ()
    outputs: tuple[OutputSettings, ...] = ()
    signs: tuple[SignSettings, ...] = ()

    def __post_init__(self) -> None:
        taken = [entry.line for entry in self.inputs] + [entry.line for entry in self.outputs]
        taken += [entry.closed_line for entry in self.inputs if entry.closed_line]
        if twice := next((line for line in taken if taken.count(line) > 1), None):
            raise ValueError(f"line `{twice}` is used twice")
        signs = [sign.sign_id for sign in self.signs]
        for ids in ([i.input_id for i in self.inputs], [o.output_id for o in self.outputs], signs):
            if twice := next((name for name in ids if ids.count(name) > 1), None):
                raise ValueError(f"`{twice}` is there twice")
        tests = {o.output_id for o in self.outputs if o.purpose is Purpose.BELL_TEST}
        for entry in self.inputs:
            if entry.test_output and entry.test_output not in tests:
                raise ValueError(
                    f"input `{entry.input_id}`: `test_output` must name an output"
                    f" with the purpose `bell-test`"
                )
