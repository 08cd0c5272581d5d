"""The detector is shared by need: nobody starves, none gets more than wished, none is wasted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.detect.sharing import FORGOTTEN_AFTER_S, LEAST_SHARE, Sharing, Wish, shares

WISHES = st.lists(
    st.builds(Wish, rate=st.floats(0.05, 30), need=st.floats(0.5, 16)), min_size=1, max_size=16
)
CAPACITIES = st.floats(0.5, 200)


@given(WISHES, CAPACITIES)
def test_all_capacity_is_used_or_every_wish_is_met(wishes, capacity):
    got = shares(wishes, capacity)
    wished = sum(wish.rate for wish in wishes)
    assert sum(got) == pytest.approx(min(capacity, wished))


@given(WISHES, CAPACITIES)
def test_nobody_gets_more_than_wished_and_nobody_starves(wishes, capacity):
    for wish, rate in zip(wishes, shares(wishes, capacity), strict=True):
        assert rate <= wish.rate * (1 + 1e-9)
        assert rate >= min(wish.rate, LEAST_SHARE * capacity / len(wishes)) * (1 - 1e-9)


@given(WISHES, CAPACITIES)
def test_of_two_with_one_wish_the_needier_gets_no_less(wishes, capacity):
    got = list(zip(wishes, shares(wishes, capacity), strict=True))
    for wish, rate in got:
        for other, other_rate in got:
            if wish.rate == other.rate and wish.need >= other.need:
                assert rate >= other_rate * (1 - 1e-9)


@given(WISHES, CAPACITIES, st.integers(0, 15))
def test_more_need_never_brings_less(wishes, capacity, which):
    which %= len(wishes)
    before = shares(wishes, capacity)[which]
    wishes[which] = Wish(wishes[which].rate, wishes[which].need * 2)
    assert shares(wishes, capacity)[which] >= before * (1 - 1e-9)


@given(WISHES, st.floats(0.005, 0.5), st.floats(0.3, 3))
def test_questions_do_not_pile_up(wishes, look_s, slower):
    """Played out: each camera keeps to what it was told, and the detector is never always busy."""
    sharing, now_s, busy_s, since_s = Sharing(look_s), 0.0, 0.0, 0.0
    took_s = look_s * slower  # the box turns out to be slower, or faster, than it was measured
    due_s = dict.fromkeys(range(len(wishes)), 0.0)
    answered = dict.fromkeys(due_s, 0)
    looks = 60 * len(wishes)
    for look in range(looks):
        if look == looks // 2:  # by now it knows what looks cost
            busy_s, since_s = 0.0, now_s
        camera = min(due_s, key=lambda one: due_s[one])
        now_s = max(now_s, due_s[camera]) + took_s
        busy_s += took_s
        sharing.looked(took_s)
        wish = wishes[camera]
        every_s = max(1 / wish.rate, sharing.every_s(str(camera), wish, now_s))
        due_s[camera] = max(now_s, now_s - took_s + every_s)
        answered[camera] += 1
    assert busy_s <= 0.97 * (now_s - since_s)
    assert all(answered.values())


def test_a_camera_that_is_gone_leaves_its_share_to_the_others():
    sharing = Sharing(0.1)
    wish = Wish(rate=10, need=1)
    sharing.every_s("a", wish, 0.0)
    both = sharing.every_s("b", wish, 0.0)
    alone = sharing.every_s("b", wish, FORGOTTEN_AFTER_S + 1)
    assert alone == pytest.approx(both / 2)
