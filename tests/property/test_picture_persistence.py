"""Whatever looks say, each fault begins and ends in turn, holds before it is told, and is alone."""

from hypothesis import given
from hypothesis import strategies as st

from agent.detect.picture_health_persistence import HOLD_S, Persistence
from agent.messages.vision import HitState

LOOK = st.tuples(
    st.sampled_from([None, *HOLD_S]),
    st.integers(1, 60),  # looks in a row that say so
    st.floats(0.1, 30.0),  # seconds between them
)


@given(st.lists(LOOK, max_size=40))
def test_faults_begin_and_end_in_turn(spans):
    held, at_s, told = Persistence(), 0.0, []
    for kind, looks, every_s in spans:
        for _ in range(looks):
            at_s += every_s
            change = held.update(kind, "", at_s)
            if change is not None:
                told.append(change)
                assert change.began_s <= at_s
                if change.state is HitState.BEGAN:
                    assert change.kind is kind
                    assert at_s - change.began_s >= HOLD_S[kind] * 0.99
    states = [change.state for change in told]
    assert states == [HitState.BEGAN, HitState.ENDED] * (len(told) // 2) + [HitState.BEGAN] * (
        len(told) % 2
    )
    for began, ended in zip(told[::2], told[1::2], strict=False):
        assert (began.kind, began.began_s) == (ended.kind, ended.began_s)
    open_now = held.going_on()
    assert (open_now.kind if open_now else None) == held.told
    assert (held.told is not None) == bool(len(told) % 2)
