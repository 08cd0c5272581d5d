"""Least squares for a handful of unknowns: Levenberg-Marquardt in plain Python.

Six unknowns and a dozen landmarks at most, a few times in a camera's life.
"""

from collections.abc import Callable, Sequence

_STEP = 1e-4
_ROUNDS = 60
_ENOUGH = 1e-9  # of what is left

Residuals = Callable[[Sequence[float]], list[float]]


def least_squares(residuals: Residuals, start: Sequence[float]) -> tuple[list[float], float]:
    """Return (unknowns, sum of squares) near `start`; K. Levenberg 1944, D. Marquardt 1963."""
    x, damping = list(start), 1e-3
    now = residuals(x)
    cost = _square(now)
    for _ in range(_ROUNDS):
        columns = [_slope(residuals, x, i, now) for i in range(len(x))]
        normal = [[_dot(a, b) for b in columns] for a in columns]
        downhill = [-_dot(column, now) for column in columns]
        damped = [
            [value * (1 + damping) if i == j else value for j, value in enumerate(row)]
            for i, row in enumerate(normal)
        ]
        step = _solve(damped, downhill)
        tried = [value + change for value, change in zip(x, step, strict=True)]
        after = residuals(tried)
        tried_cost = _square(after)
        if tried_cost < cost:
            is_done = cost - tried_cost <= _ENOUGH * cost
            x, now, cost, damping = tried, after, tried_cost, damping / 5
            if is_done:
                break
        else:
            damping *= 5
            if damping > 1e9:
                break
    return x, cost


def _slope(residuals: Residuals, x: Sequence[float], i: int, now: Sequence[float]) -> list[float]:
    moved = [value + (_STEP if j == i else 0.0) for j, value in enumerate(x)]
    return [(b - a) / _STEP for a, b in zip(now, residuals(moved), strict=True)]


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination with pivoting; a direction nothing depends on stays where it is."""
    n = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-15:
            continue
        for r in range(i + 1, n):
            factor = rows[r][i] / rows[i][i]
            rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    x = [0.0] * n
    for i in reversed(range(n)):
        if abs(rows[i][i]) < 1e-15:
            continue
        known = sum(rows[i][j] * x[j] for j in range(i + 1, n))
        x[i] = (rows[i][n] - known) / rows[i][i]
    return x


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _square(values: Sequence[float]) -> float:
    return _dot(values, values)
