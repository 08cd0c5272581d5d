"""Each way real cameras misbehave has a switch in the simulator, and a test that switches it on."""

import ast
from functools import cache
from pathlib import Path

import msgspec
import pytest

from agent.simulators.camera.onvif_device import OnvifDevice
from agent.simulators.camera.onvif_settings import OnvifDeviceConfig, OnvifFaults

_TESTS = Path(__file__).parents[1]

# What cameras do, by trial; and with which switches the simulator does it.
FAULTS = {
    "silent accept": ("silent",),
    "slow-drip body": ("drips",),
    "8 MB body": ("huge_body",),
    "HTML 401": ("html_401",),
    "fault on 200, 400, 500": ("fault_status",),
    "undeclared prefix": ("undeclared_prefix",),
    "unquoted attribute": ("unquoted_attribute",),
    "missing optional parts": ("omits_optional",),
    "empty 200": ("empty_200",),
    "XAddr with foreign host, port, 0.0.0.0": ("foreign_xaddr",),
    "subscription on another port": ("other_port",),
    "slot limit: fault, evict, silent": ("slot_limit", "max_pull_points"),
    "expiry at once": ("expires_at_once",),
    "Renew failing": ("fails_renew",),
    "topic variants": ("dialect",),
    "event storm": ("storm_per_s",),
    "motion without false": ("never_ends",),
    "clock off, with a login for the time query": ("clock_offset_s", "hides_clock"),
    "a year no calendar has": ("year",),
    "nonce replay refusal": ("nonce_once",),
    "a digest asked for and refused": ("refuses_digest",),
    "300 presets": ("presets",),
    "Min==Max range": ("min_is_max",),
    "move ignored by Timeout": ("ignores_move_timeout",),
    "Stop not supported": ("knows_no_stop",),
    "SetX accepted, not applied": ("ignores_writes", "half_takes_password"),
    "reboot for N s with new EPR and IP": ("reboot", "new_epr", "host", "moves"),
    "Media2 listed before Media": ("media2",),
    "wrong-password lock-out": ("locks_after",),
    "self-signed TLS changed": ("change_certificate",),
    "GetStatus without Position": ("tells_no_position",),
    "positions in degrees": ("in_degrees",),
    "no home": ("has_no_home",),
    "no absolute moves": ("only_continuous",),
    "relays by one service only": ("relays_only_by",),
    "an operation that hangs": ("slow_s",),
    "any answer to one operation alone": ("spoils",),
    "no pull points": ("knows_no_pull_point",),
    "no filter of topics": ("refuses_filter",),
    "deaf pull points": ("pull_is_deaf",),
    "snapshot by digest, basic, none": ("snapshot_login",),
    "a snapshot that is a web page": ("snapshot_is_html",),
    "JPEG among the profiles": ("lists_jpeg",),
    "smart codec": ("smart_codec",),
    "an audio track": ("sends_audio",),
    "a head that can't look up": ("highest_tilt",),
}
# What is tried with each of its values.
VALUES = {
    "fault_status": {200, 400, 500},
    "slot_limit": {"evict", "deafen", "silent"},
    "relays_only_by": {"device", "device-io"},
    "dialect": {"onvif", "tp-link", "reolink", "axis", "hikvision"},
    "snapshot_login": {"digest", "basic", "none"},
    "presets": {300},
}


@cache
def _said_in_tests() -> tuple[frozenset[object], dict[str, set[object]]]:
    """Return all names set, and all constants beside each, in the tests but this one."""
    names: set[object] = set()
    beside: dict[str, set[object]] = {}
    for file in _TESTS.rglob("*.py"):
        if file == Path(__file__):
            continue
        tree = ast.parse(file.read_text("utf-8"))
        for function in (
            n for n in ast.walk(tree) if isinstance(n, ast.AsyncFunctionDef | ast.FunctionDef)
        ):
            if not function.name.startswith(("test_", "_")):
                continue
            found = set(_names(function))
            names |= found
            constants = {n.value for n in ast.walk(function) if isinstance(n, ast.Constant)}
            for name in found:
                beside.setdefault(str(name), set()).update(constants)
    return frozenset(names), beside


def _names(function: ast.AST):
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            yield from (t.attr for t in node.targets if isinstance(t, ast.Attribute))
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr


@pytest.mark.parametrize(("fault", "switches"), FAULTS.items(), ids=FAULTS.keys())
def test_a_fault_has_its_switch_and_a_test_that_uses_it(fault, switches):
    own = {
        *(field.name for field in msgspec.structs.fields(OnvifFaults)),
        *(field.name for field in msgspec.structs.fields(OnvifDeviceConfig)),
        *dir(OnvifDevice),
        *("host", "moves", "new_epr"),  # how it comes back from a reboot
    }
    names, _ = _said_in_tests()
    for switch in switches:
        assert switch in own, f"the simulator cannot: {fault}"
        assert switch in names, f"no test switches on: {fault} ({switch})"


@pytest.mark.parametrize(("switch", "values"), VALUES.items(), ids=VALUES.keys())
def test_a_switch_with_several_ways_is_tried_each_way(switch, values):
    _, beside = _said_in_tests()
    assert values <= beside[switch]


def test_every_switch_is_in_the_table():
    listed = {switch for switches in FAULTS.values() for switch in switches}
    assert {field.name for field in msgspec.structs.fields(OnvifFaults)} <= listed
