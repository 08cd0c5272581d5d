"""Who belongs to whom, best for all together: the Hungarian method on a small matrix.

After Kuhn (1955) with shortest augmenting paths. In a crowd it keeps identities that taking the
best pair first mixes up.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pairs = list[tuple[int, int]]


def best_pairs(values: Floats, least: float) -> Pairs:
    """Return the pairs (row, column) with the greatest sum; each is worth `least` or more."""
    worth = np.where(values >= least, values, 0.0)
    rows, columns = np.flatnonzero(worth.any(axis=1)), np.flatnonzero(worth.any(axis=0))
    if not len(rows):
        return []
    small = worth[np.ix_(rows, columns)]
    is_turned = len(rows) > len(columns)
    cost = -(small.T if is_turned else small)
    cheapest = cost.argmin(axis=1)
    if len(set(cheapest.tolist())) == len(cheapest):  # each has its best: no sum is greater
        pairs = list(enumerate(cheapest.tolist()))
    else:
        pairs = _assign(cost)
    straight = [(column, row) if is_turned else (row, column) for row, column in pairs]
    return [
        (int(rows[row]), int(columns[column])) for row, column in straight if small[row, column] > 0
    ]


def _assign(cost: Floats) -> Pairs:
    """Assign each row a column of its own at the least cost; there are columns enough."""
    height, width = cost.shape
    row_price, column_price = np.zeros(height + 1), np.zeros(width + 1)
    row_of = np.zeros(width + 1, int)  # 0: free; rows and columns count from 1 here
    for row in range(1, height + 1):
        row_of[0], column = row, 0
        shortest, came_from = np.full(width + 1, np.inf), np.zeros(width + 1, int)
        done = np.zeros(width + 1, bool)
        while row_of[column]:
            done[column] = True
            own = row_of[column]
            reduced = cost[own - 1] - row_price[own] - column_price[1:]
            better = ~done[1:] & (reduced < shortest[1:])
            shortest[1:][better] = reduced[better]
            came_from[1:][better] = column
            nearest = int(np.where(done[1:], np.inf, shortest[1:]).argmin()) + 1
            step = shortest[nearest]
            row_price[row_of[done]] += step
            column_price[done] -= step
            shortest[~done] -= step
            column = nearest
        while column:
            row_of[column] = row_of[came_from[column]]
            column = int(came_from[column])
    return [(int(row) - 1, column - 1) for column, row in enumerate(row_of) if column and row]
