"""What is heard, seen or moved at the scene is not done again by a box that restarts."""

from types import SimpleNamespace

from agent.app.orders import register_orders
from agent.core.clock import SystemClock
from agent.settings.model import Settings

ONCE = {
    "ptz.move",
    "ptz.lease",
    "ptz.goto",
    "ptz.presets",
    "ptz.imaging",
    "ptz.aux",
    "camera.aim",
    "camera.osd",
    "camera.masks",
    "camera.password",
    "camera.care",
    "output",
    "relay",
    "sign",
    "talk",
}


class Anybody:
    """Whoever carries an order out: here nobody is asked."""

    def __getattr__(self, _):
        return self


def test_an_order_that_a_restart_interrupts_has_no_effect_twice(tmp_path):
    is_repeated = {}

    def register(op, _, *, idempotent, **__):
        is_repeated[op] = idempotent

    voice = SimpleNamespace(
        uploads=Anybody(),
        leases=Anybody(),
        audit_desk=Anybody(),
        gates=Anybody(),
        aimer=Anybody(),
        desired=Anybody(),
        commands=SimpleNamespace(register=register, at_grant_end=[], resting=Anybody()),
    )
    settings = Settings(data_dir=str(tmp_path))
    register_orders(Anybody(), voice, lambda: False, Anybody(), lambda: settings, SystemClock())
    assert {op for op, again in is_repeated.items() if not again} == ONCE
