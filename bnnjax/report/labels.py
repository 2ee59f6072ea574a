"""Places labels beside points, so that none covers another or a point.

Lengths are in points (1/72 inch), boxes `(left, bottom, right, top)`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

# Directions from a point to its label, in the order of preference.
DIRECTIONS = (
  (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1),
  (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5),
)  # fmt: skip
NEAR = 4.5  # from a point's centre to a label beside it
DISTANCES = (NEAR, 8.0, 12.0, 17.0, 23.0, 30.0, 38.0)
GAP = 0.7  # between two labels
# What counts as much as a longer distance: a crossing of the front's line or of
# a leader with a box, and another point's marker within `CLOSE`.
CROSSING, CONFUSING, CLOSE = 6.0, 1.5, 3.0

Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Label:
  """A text to place.

  Attributes:
    width: of the text.
    height: of the text.
    anchors: points it may stand beside, the preferred one first.
  """

  width: float
  height: float
  anchors: Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a label stands.

  Attributes:
    box: of the text.
    anchor: the point that it names.
    near: whether it stands right beside it; otherwise a line should join them.
  """

  box: Box
  anchor: tuple[float, float]
  near: bool


def place(
  labels: Sequence[Label],
  obstacles: Sequence[Box],
  frame: Box,
  lines: Sequence[Box] = (),
) -> list[Place | None]:
  """Places labels one after another, each where it is nearest to its point.

  Args:
    labels: the most important one first.
    obstacles: boxes that no label may cover: markers and error bars.
    frame: the box that labels stay inside.
    lines: boxes that labels cross only if there is no better place.

  Returns:
    A place for each label; `None` where there is no room.
  """
  taken, found = [tuple(o) for o in obstacles], []
  lines = np.array(lines, float).reshape(-1, 4)
  for label in labels:
    best = _best(label, np.array(taken, float).reshape(-1, 4), frame, lines)
    found.append(best)
    if best is not None:
      left, bottom, right, top = best.box
      taken.append((left - GAP, bottom - GAP, right + GAP, top + GAP))
  return found


def _best(
  label: Label, taken: np.ndarray, frame: Box, lines: np.ndarray
) -> Place | None:
  """The free candidate of least cost; the first of equal ones."""
  boxes, anchors, costs, near = _candidates(label)
  free = ~_overlaps(boxes, taken).any(1)
  free &= (boxes[:, :2] >= frame[:2]).all(1)
  free &= (boxes[:, 2:] <= frame[2:]).all(1)
  costs = costs + CROSSING * _overlaps(boxes, lines).any(1)
  close = _overlaps(boxes + (-CLOSE, -CLOSE, CLOSE, CLOSE), taken).sum(1)
  costs = costs + CONFUSING * np.maximum(close - 1, 0)
  leaders = np.concatenate(
    [
      np.minimum(anchors, (boxes[:, :2] + boxes[:, 2:]) / 2),
      np.maximum(anchors, (boxes[:, :2] + boxes[:, 2:]) / 2),
    ],
    axis=1,
  )
  met = np.maximum(_overlaps(leaders, taken).sum(1) - 1, 0)  # its own marker
  costs = np.where(free, costs + ~near * CROSSING * met, np.inf)
  at = int(np.argmin(costs.round(6)))
  if not np.isfinite(costs[at]):
    return None
  return Place(
    tuple(boxes[at].tolist()), tuple(anchors[at].tolist()), bool(near[at])
  )


def _candidates(label: Label) -> tuple[np.ndarray, ...]:
  """Boxes `[N, 4]` around the anchors, with anchor, cost, and if it is near."""
  boxes, anchors, costs, near = [], [], [], []
  width, height = label.width, label.height
  for order, (x, y) in enumerate(label.anchors):
    for distance in DISTANCES:
      for preference, (right, up) in enumerate(DIRECTIONS):
        diagonal = right != 0 and abs(up) == 1
        shift = 0.75 * distance if diagonal else distance
        left = _start(x, right, shift, width)
        bottom = _start(y, up, shift, height)
        boxes.append((left, bottom, left + width, bottom + height))
        anchors.append((x, y))
        costs.append(distance + 0.2 * preference + 1.0 * order)
        near.append(distance == NEAR)
  return np.array(boxes), np.array(anchors), np.array(costs), np.array(near)


def _start(at: float, direction: float, shift: float, length: float) -> float:
  """Where a label of this length begins; a fraction centres it, moved by that."""
  if direction == 1:
    return at + shift
  if direction == -1:
    return at - shift - length
  return at + (direction - 0.5) * length


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Whether boxes `[N, 4]` and `[M, 4]` overlap: `[N, M]`."""
  return (
    (a[:, None, 0] < b[None, :, 2])
    & (b[None, :, 0] < a[:, None, 2])
    & (a[:, None, 1] < b[None, :, 3])
    & (b[None, :, 1] < a[:, None, 3])
  )
