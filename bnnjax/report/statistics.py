"""Do methods differ? Seeds as blocks, and simultaneous intervals.

Every method runs with the same seeds, so a seed that is lucky for all is no
evidence for one: the model is method + seed,

  y[i, j] = mu + method[i] + seed[j] + noise,  noise ~ N(0, sigma^2),

a randomized block design. sigma is pooled over all methods; with three seeds,
the spread of one method alone has two degrees of freedom.
"""

import dataclasses
import functools
import math
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bnnjax.errors import UserError, unknown

CONFIDENCE = 0.95
MOST_METHODS = 500
OUTLYING = 0.01  # level of the test for methods that vary far more
ROUNDING = 1e-12  # of float64 sums, relative
LETTERS = string.ascii_letters


class Interval(NamedTuple):
  """A difference of two methods, with its simultaneous interval."""

  effect: float
  low: float
  high: float

  @property
  def differs(self) -> bool:
    """Whether the interval excludes 0."""
    return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class Fit:
  """The model method + seed, fitted by least squares.

  Attributes:
    methods: in the order in which they were given.
    means: of each method, adjusted to the average of all seeds: the plain mean
      if every method has every seed.
    variance: of the residuals, `SS / degrees`; `None` without degrees of
      freedom.
    degrees: of freedom of the residuals.
    reason: why there are no intervals; empty if there are.
  """

  methods: tuple[str, ...]
  means: Mapping[str, float]
  variance: float | None
  degrees: int
  reason: str
  _covariance: np.ndarray = dataclasses.field(repr=False)
  _parts: tuple[int, ...] = dataclasses.field(repr=False)

  def difference(self, a: str, b: str) -> Interval | None:
    """Mean of `a` minus mean of `b`, with its Tukey-Kramer interval.

    For k methods and f degrees of freedom, the interval is

      effect -+ q[0.95](k, f) / sqrt(2) * sigma * sqrt(v),

    where `v sigma^2` is the variance of the effect: `2 / seeds` if every method
    has every seed (Tukey 1953; Kramer 1956 for unequal numbers). All intervals
    of a fit together hold with a probability of 95 %, or more.

    Returns:
      `None` if the fit has no intervals, or if no chain of common seeds links
      the two methods, so that their difference may be one of seeds.

    Raises:
      UserError: no such method.
    """
    i, j = (self._index(name) for name in (a, b))
    if self.reason or self._parts[i] != self._parts[j]:
      return None
    effect = self.means[a] - self.means[b]
    c = self._covariance
    # Rounding may leave a little less than 0.
    v = max(0.0, c[i, i] + c[j, j] - 2 * c[i, j])
    half = critical(len(self.methods), self.degrees) / math.sqrt(2)
    half *= math.sqrt(self.variance * v)
    return Interval(effect, effect - half, effect + half)

  @property
  def linked(self) -> bool:
    """Whether chains of common seeds link all methods."""
    return len(set(self._parts)) == 1

  def _index(self, name: str) -> int:
    if name not in self.means:
      raise unknown("method", name, self.methods)
    return self.methods.index(name)

  def groups(self, *, lowest_first: bool = False) -> dict[str, str]:
    """Letters for each method: those that share one do not differ.

    A letter stands for a largest set of methods no two of which differ; `a` is
    that of the highest mean, or of the lowest. Methods without an interval between them share a
    letter.

    Returns:
      Letters by method; none if the fit has no intervals, or more groups than
      there are letters.
    """
    if self.reason:
      return {}
    sign = 1 if lowest_first else -1
    order = sorted(self.methods, key=lambda m: sign * self.means[m])
    alike = {m: set() for m in order}
    for at, a in enumerate(order):
      for b in order[at + 1 :]:
        found = self.difference(a, b)
        if found is None or not found.differs:
          alike[a].add(b)
          alike[b].add(a)
    place = {m: i for i, m in enumerate(order)}
    cliques = sorted(sorted(map(place.get, c)) for c in _cliques(alike))
    if len(cliques) > len(LETTERS):
      return {}
    return {
      m: "".join(letter for letter, c in zip(LETTERS, cliques) if place[m] in c)
      for m in self.methods
    }


def two_way(values: Mapping[str, Mapping[int, float]]) -> Fit:
  """Fits method + seed.

  Args:
    values: a value for each method and seed. Methods may lack seeds.

  Returns:
    The fit. It has intervals if some seeds are common to methods and more
    values remain than effects.

  Raises:
    UserError: no values, or one that is not finite.
  """
  methods = tuple(values)
  if not methods or not all(values.values()):
    raise UserError("Give at least one method, and a value for each.")
  for method, by_seed in values.items():
    for seed, value in by_seed.items():
      if not math.isfinite(value):
        raise UserError(
          f"The values must be finite: {method} has {value!r} for seed {seed}."
        )
  if len(methods) > MOST_METHODS:
    raise UserError(
      f"A fit takes up to {MOST_METHODS} methods, got {len(methods)}."
    )
  center = float(np.mean([v for m in methods for v in values[m].values()]))
  seeds: dict[int, tuple[list[int], np.ndarray]] = {}
  for seed in sorted({seed for m in methods for seed in values[m]}):
    present = [i for i, m in enumerate(methods) if seed in values[m]]
    got = np.array([values[methods[i]][seed] for i in present])
    seeds[seed] = present, got - center
  return _solve(methods, center, list(seeds.values()))


def _solve(
  methods: tuple[str, ...],
  center: float,
  seeds: Sequence[tuple[list[int], np.ndarray]],
) -> Fit:
  """Least squares with the effects of the seeds eliminated.

  What is left is `information @ effects = adjusted`, for effects of methods
  that sum to 0 in each part of the design that common seeds link.
  """
  information = np.zeros((len(methods), len(methods)))
  adjusted = np.zeros(len(methods))
  for present, y in seeds:
    n = len(present)
    information[np.ix_(present, present)] += np.eye(n) - 1 / n
    adjusted[present] += y - y.mean()
  covariance = np.linalg.pinv(information, hermitian=True)
  effects = covariance @ adjusted
  parts = _parts(len(methods), [present for present, _ in seeds])
  residual, seed_effects = 0.0, {part: [] for part in parts}
  for present, y in seeds:
    rest = y - effects[present]
    seed_effects[parts[present[0]]].append(rest.mean())
    residual += float(np.sum((rest - rest.mean()) ** 2))
  means = {
    m: center + float(effects[i] + np.mean(seed_effects[parts[i]]))
    for i, m in enumerate(methods)
  }
  total = sum(len(present) for present, _ in seeds)
  degrees = total - len(seeds) - len(methods) + len(seed_effects)
  largest = max(abs(center), *(float(np.max(np.abs(y))) for _, y in seeds))
  reason = ""
  if len(methods) < 2:
    reason = "there is one row only"
  elif total == len(methods):
    reason = "every row has one seed"
  elif degrees < 1:
    reason = "rows have too few seeds in common"
  elif residual <= total * (ROUNDING * largest) ** 2:
    reason = "the residuals are 0: runs of one row do not vary"
  variance = residual / degrees if degrees > 0 else None
  return Fit(methods, means, variance, degrees, reason, covariance, parts)


def _parts(count: int, linked: Sequence[Sequence[int]]) -> tuple[int, ...]:
  """The part of each method: those that a chain of common seeds links."""
  parts = list(range(count))
  for present in linked:
    merged = {parts[i] for i in present}
    parts = [min(merged) if p in merged else p for p in parts]
  return tuple(parts)


def _cliques(alike: Mapping[str, set[str]]) -> Iterator[set[str]]:
  """The largest sets of names all of which are alike (Bron and Kerbosch 1973).

  Args:
    alike: for each name, the others that are like it.
  """

  def grow(chosen, candidates, done):
    if not candidates and not done:
      yield chosen
      return
    pivot = max(candidates | done, key=lambda m: len(alike[m] & candidates))
    for name in candidates - alike[pivot]:
      near = alike[name]
      yield from grow(chosen | {name}, candidates & near, done & near)
      candidates = candidates - {name}
      done = done | {name}

  yield from grow(set(), set(alike), set())


@functools.cache
def critical(methods: int, degrees: int) -> float:
  """The 0.95 quantile of the studentized range, `q[0.95](methods, degrees)`."""
  from scipy import stats  # takes a second to import

  return float(stats.studentized_range.ppf(CONFIDENCE, methods, degrees))


def outlying(values: Mapping[str, Mapping[int, float]]) -> tuple[str, ...]:
  """The methods that vary far more than the others, the widest first.

  A pooled variance presumes one for all. For each method, `F` is its variance
  over that of all others, pooled; the method with the smallest probability is
  set apart if that times the number of methods is below 0.01, and so on with
  those that are left. For equal numbers of seeds that is Cochran's C test (1941;
  ISO 5725-2, 7.3.3), by which laboratories are left out.

  Args:
    values: a value for each method and seed. Methods with one seed, and those
      that would leave fewer than two others, stay.

  Returns:
    Names of methods.
  """
  from scipy import stats  # takes a second to import

  left = {
    name: (float(np.var(list(v.values()), ddof=1)), len(v) - 1)
    for name, v in values.items()
    if len(v) > 1
  }
  found: list[str] = []
  while len(left) > 2:
    chances = {}
    for name, (variance, degrees) in left.items():
      others = [pair for other, pair in left.items() if other != name]
      rest = sum(d for _, d in others)
      pooled = sum(v * d for v, d in others) / rest
      if pooled:
        chance = stats.f.sf(variance / pooled, degrees, rest)
        chances[name] = float(chance) * len(left)
    widest = min(chances, key=chances.get, default=None)
    if widest is None or chances[widest] >= OUTLYING:
      break
    found.append(widest)
    del left[widest]
  return tuple(found)


def test_error(accuracy: float, examples: int) -> float:
  """Standard error of an accuracy that the test examples leave.

  `sqrt(p (1 - p) / n)` for the share p of n examples that are right: another
  test set of this size would move every run's accuracy by about as much. Runs
  on the same examples share a part of it, so it is beside the spread over
  seeds, not in it.

  Args:
    accuracy: from 0 to 1.
    examples: number of test examples.

  Raises:
    UserError: an argument is out of range.
  """
  if not 0 <= accuracy <= 1:
    raise UserError(f"An accuracy is from 0 to 1, got {accuracy!r}.")
  if examples < 1:
    raise UserError(f"Test examples must be 1 or more, got {examples!r}.")
  return math.sqrt(accuracy * (1 - accuracy) / examples)
