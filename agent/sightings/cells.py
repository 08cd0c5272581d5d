"""Which parts of the picture a track was in: cells of a grid, one bit each of a 64-bit number.

As SQLite keeps it, signed, so that an index can sort out who was never near a zone.
"""

from collections.abc import Sequence

GRID = 8  # cells each way


def cells_of_way(way: Sequence[tuple[float, float]]) -> int:
    """Return which cells of the picture a track's foot was in, one bit each."""
    cells = 0
    for x, y in way:
        column, row = (min(GRID - 1, max(0, int(value * GRID))) for value in (x, y))
        cells |= 1 << (row * GRID + column)
    return _signed(cells)


def cells_of_zone(zone: Sequence[tuple[float, float]]) -> int:
    """Return the cells of the rectangle around a zone; the zone itself decides later."""
    xs, ys = [x for x, _ in zone], [y for _, y in zone]
    cells = 0
    for row in range(int(min(ys) * GRID), min(GRID - 1, int(max(ys) * GRID)) + 1):
        for column in range(int(min(xs) * GRID), min(GRID - 1, int(max(xs) * GRID)) + 1):
            cells |= 1 << (row * GRID + column)
    return _signed(cells)


def _signed(cells: int) -> int:
    return cells - (1 << 64) if cells >= 1 << 63 else cells
