"""Who belongs to whom, best for all together: the Hungarian method on a small matrix.

After Kuhn (1955) with shortest augmenting paths. In a crowd it keeps identities that taking the
best pair first mixes up.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pairs = list[tuple[int, int]]


def best_pairs(values: Floats, least: float) -> Pairs:
    """Return the pairs (row, column) with the greatest sum; each is worth `least` or more."""
    is_worth: NDArray[np.bool_] = values >= least
    rows, columns = (np.flatnonzero(is_worth.any(axis=side)) for side in (1, 0))
    if not len(rows):
        return []
    cost = np.where(is_worth, -values, 0.0)[rows[:, None], columns]
    is_turned = len(rows) > len(columns)
    if is_turned:
        cost, rows, columns = cost.T, columns, rows
    cheapest = cost.argmin(axis=1).tolist()
    each_has_its_best = len(set(cheapest)) == len(cheapest)  # then no sum is greater
    pairs = list(enumerate(cheapest)) if each_has_its_best else _assign(cost)
    found = [(int(rows[row]), int(columns[column])) for row, column in pairs if cost[row, column]]
    return [(column, row) for row, column in found] if is_turned else found


def _assign(cost: Floats) -> Pairs:
    """Assign each row a column of its own at the least cost; there are columns enough.

    On plain numbers: for the ten or twenty of a camera a call of numpy costs more than its work.
    """
    costs, width = cost.tolist(), cost.shape[1]
    row_price, column_price = [0.0] * len(costs), [0.0] * width
    row_of = [-1] * width  # -1: free
    for row in range(len(costs)):
        shortest, came_from = [math.inf] * width, [-1] * width
        done: list[int] = []
        free = list(range(width))
        own, column = row, -1
        while own >= 0:
            nearest, least = -1, math.inf
            for other in free:
                reduced = costs[own][other] - row_price[own] - column_price[other]
                if reduced < shortest[other]:
                    shortest[other], came_from[other] = reduced, column
                if shortest[other] < least:
                    nearest, least = other, shortest[other]
            row_price[row] += least
            for other in done:
                row_price[row_of[other]] += least  # done: somebody's
                column_price[other] -= least
            free.remove(nearest)
            for other in free:
                shortest[other] -= least
            done.append(nearest)
            column, own = nearest, row_of[nearest]
        while column >= 0:
            before = came_from[column]
            row_of[column] = row if before < 0 else row_of[before]
            column = before
    return [(own, column) for column, own in enumerate(row_of) if own >= 0]
