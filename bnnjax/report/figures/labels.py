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
# What counts as much as so many points of distance: to cross the front's line,
# a leader that meets a box, and another point's marker within `CLOSE`.
CROSSING, MEETING, CONFUSING, CLOSE = 6.0, 15.0, 1.5, 3.0
LEADER = np.linspace(0.4, 0.95, 8)  # parts of a leader that should meet nothing

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
    end: of the leader, the line from the anchor to a label that does not stand
      right beside it; `None` for one that does.
  """

  box: Box
  anchor: tuple[float, float]
  end: tuple[float, float] | None


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
    if best is None:
      continue
    left, bottom, right, top = best.box
    taken.append((left - GAP, bottom - GAP, right + GAP, top + GAP))
    if best.end is not None:
      along = _along(np.array([best.anchor]), np.array([best.end]))[0]
      taken += [(x - GAP, y - GAP, x + GAP, y + GAP) for x, y in along]
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
  wider = boxes + np.array([-CLOSE, -CLOSE, CLOSE, CLOSE])
  close = _overlaps(wider, taken).sum(1)
  costs = costs + CONFUSING * np.maximum(close - 1, 0)
  ends = np.clip(anchors, boxes[:, :2], boxes[:, 2:])
  points = _along(anchors, ends)
  met = _overlaps(np.concatenate([points, points], -1), taken).any(-2).sum(-1)
  costs = np.where(free, costs + ~near * MEETING * met, np.inf)
  at = int(np.argmin(costs.round(6)))
  if not np.isfinite(costs[at]):
    return None
  end = None if near[at] else tuple(ends[at].tolist())
  return Place(tuple(boxes[at].tolist()), tuple(anchors[at].tolist()), end)


def _along(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
  """Points `[N, P, 2]` on the way from `[N, 2]` to `[N, 2]`."""
  return starts[:, None] + LEADER[:, None] * (ends - starts)[:, None]


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
  """Whether boxes `[..., 4]` and `[M, 4]` overlap: `[..., M]`."""
  a = a[..., None, :]
  return (
    (a[..., 0] < b[:, 2])
    & (b[:, 0] < a[..., 2])
    & (a[..., 1] < b[:, 3])
    & (b[:, 1] < a[..., 3])
  )
