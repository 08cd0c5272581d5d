"""What the network's outputs say is what comes out as regions."""

import numpy as np
import pytest

from agent.detect.nanodet import NanoDetDecoder, keep_best, overlaps

LABELS = ("person", "car", "dog")
WIDTH_PX, HEIGHT_PX = 64, 32
CELLS = 8 * 4 + 4 * 2 + 2 * 1


def outputs(*objects):
    """Make raw outputs: each object is (cell, label, score, sides in strides)."""
    scores = np.zeros((CELLS, len(LABELS)), np.float32)
    bins = np.zeros((CELLS, 4, 11), np.float32)
    for cell, label, score, sides in objects:
        scores[cell, label] = score
        for side, distance in enumerate(sides):
            bins[cell, side, distance] = 50.0
    return [bins.reshape(CELLS, 44), scores]


def decoder():
    return NanoDetDecoder(WIDTH_PX, HEIGHT_PX, LABELS, min_score=0.1)


def test_sides_are_bins_times_stride_from_the_cells_center():
    # Cell 10 of stride 8: column 2, row 1, center (20, 12).
    [found] = decoder().decode(outputs((10, 0, 0.9, (1, 1, 2, 1))), WIDTH_PX, HEIGHT_PX)
    assert (found.label, found.score) == ("person", pytest.approx(0.9))
    region = found.region
    assert (region.x, region.y) == pytest.approx((12 / 64, 4 / 32))
    assert (region.width, region.height) == pytest.approx((24 / 64, 16 / 32))


def test_regions_are_fractions_of_the_picture_without_its_padding():
    [found] = decoder().decode(outputs((10, 0, 0.9, (1, 1, 2, 1))), 32, 16)
    assert found.region.x == pytest.approx(12 / 32)
    assert found.region.x + found.region.width == pytest.approx(1.0)  # cut at the content's edge
    assert found.region.y + found.region.height == pytest.approx(1.0)


def test_the_grids_of_all_strides_follow_one_another():
    last = CELLS - 1  # stride 32, column 1: center (48, 16)
    [found] = decoder().decode(outputs((last, 1, 0.5, (0, 0, 0, 0))), WIDTH_PX, HEIGHT_PX)
    assert found.label == "car"
    assert (found.region.x, found.region.y) == pytest.approx((48 / 64, 16 / 32))


def test_one_object_seen_by_two_cells_is_told_once_and_classes_do_not_hide_each_other():
    found = decoder().decode(
        outputs((10, 0, 0.6, (2, 1, 2, 1)), (11, 0, 0.8, (3, 1, 1, 1)), (11, 1, 0.4, (3, 1, 1, 1))),
        WIDTH_PX,
        HEIGHT_PX,
    )
    assert [one.label for one in found] == ["person", "car"]
    assert found[0].score == pytest.approx(0.8)


def test_an_empty_picture_gives_nothing():
    assert decoder().decode(outputs(), WIDTH_PX, HEIGHT_PX) == []


def test_overlap_is_intersection_over_union():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)
    assert overlaps(boxes[:1], boxes)[0] == pytest.approx([1.0, 1 / 3, 0.0])


def test_of_overlapping_boxes_the_best_is_kept():
    boxes = np.array([[0, 0, 1, 0.9], [0.5, 0, 0.6, 1], [0, 0, 1, 1]], np.float32)
    assert keep_best(boxes, np.array([3, 3, 3]), 0.5).tolist() == [0, 1]
    assert keep_best(boxes, np.array([3, 3, 70]), 0.5).tolist() == [0, 1, 2]


def test_boxes_are_kept_and_left_as_their_overlap_says():
    random = np.random.default_rng(3)
    corners = random.uniform(0, 0.6, (200, 2))
    boxes = np.concatenate([corners, corners + random.uniform(0, 0.4, (200, 2))], axis=1)
    boxes, classes = boxes.astype(np.float32), random.integers(0, 80, 200) // 40
    kept = keep_best(boxes, classes, 0.5).tolist()
    iou, same = overlaps(boxes, boxes), classes[:, None] == classes[None]
    for row in range(200):
        beaten = any(iou[row, one] > 0.5 and same[row, one] for one in kept if one < row)
        assert beaten == (row not in kept)
