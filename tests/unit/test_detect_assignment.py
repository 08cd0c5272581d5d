"""Who belongs to whom is best for all together, as trying every way shows."""

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.detect.assignment import best_pairs


def best_by_trying(values):
    rows, columns = values.shape
    wide = values if rows <= columns else values.T
    return max(
        sum(wide[row, column] for row, column in enumerate(order))
        for order in permutations(range(wide.shape[1]), wide.shape[0])
    )


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_other_way_is_worth_more(rows, columns, seed):
    values = np.random.default_rng(seed).random((rows, columns))
    pairs = best_pairs(values, 0.0)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert np.isclose(sum(values[pair] for pair in pairs), best_by_trying(values))


def test_what_is_worth_too_little_is_no_pair():
    values = np.array([[0.9, 0.2], [0.3, 0.1]])
    assert best_pairs(values, 0.25) == [(0, 0)]
    assert best_pairs(values, 0.95) == best_pairs(np.zeros((0, 3)), 0.1) == []
