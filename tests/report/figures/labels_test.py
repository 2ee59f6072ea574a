"""Places of labels: none covers another, a point, or leaves the frame."""

import numpy as np
import pytest

from bnnjax.report.figures import labels

FRAME = (0.0, 0.0, 200.0, 165.0)


def overlap(a, b):
  return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_a_lone_label_stands_right_beside_its_point():
  label = labels.Label(20.0, 7.0, [(50.0, 60.0)])
  [found] = labels.place([label], [(47.0, 57.0, 53.0, 63.0)], FRAME)
  assert found.box == (54.5, 56.5, 74.5, 63.5)
  assert found.end is None


def test_a_label_goes_to_the_left_where_the_frame_ends():
  label = labels.Label(20.0, 7.0, [(190.0, 60.0)])
  [found] = labels.place([label], [], FRAME)
  assert found.box == (165.5, 56.5, 185.5, 63.5)


def test_a_label_avoids_a_line_but_not_at_any_price():
  label = labels.Label(20.0, 7.0, [(50.0, 60.0)])
  [found] = labels.place([label], [], FRAME, [(50.0, 59.5, 200.0, 60.5)])
  assert found.box == (25.5, 56.5, 45.5, 63.5)
  everywhere = [FRAME]
  [found] = labels.place([label], [], FRAME, everywhere)
  assert found.box == (54.5, 56.5, 74.5, 63.5)


def test_where_there_is_no_room_there_is_no_label():
  label = labels.Label(20.0, 7.0, [(50.0, 60.0)])
  assert labels.place([label], [FRAME], FRAME) == [None]
  wide = labels.Label(300.0, 7.0, [(50.0, 60.0)])
  assert labels.place([wide], [], FRAME) == [None]


@pytest.mark.parametrize("points", [1, 12, 60])
def test_crowded_points(points):
  rng = np.random.default_rng(points)
  at = rng.uniform((70, 60), (110, 90), (points, 2)).tolist()
  boxes = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
  named = [labels.Label(30.0, 7.0, [tuple(p)]) for p in at]
  found = labels.place(named, boxes, FRAME)
  assert found == labels.place(named, boxes, FRAME)  # deterministic
  placed = [p for p in found if p is not None]
  assert len(placed) >= min(points, 8)
  for i, one in enumerate(placed):
    assert not any(overlap(one.box, box) for box in boxes)
    assert not any(overlap(one.box, other.box) for other in placed[:i])
    assert one.box[0] >= 0
    assert one.box[1] >= 0
    assert one.box[2] <= 200
    assert one.box[3] <= 165
