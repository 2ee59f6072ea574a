"""What the interpreter writes down and the report reads."""

import dataclasses
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any


@dataclasses.dataclass(frozen=True)
class Row:
  """One contraction at one pair of widths.

  Attributes:
    path: module that owns the weight, else the named scope.
    scope: path of `jax.named_scope`s.
    op: `"conv"` or `"dot"`.
    shapes: left operand, right operand, result.
    macs: multiply-accumulates, all executions together.
    w_bits, a_bits: widths of weight and activation.
    length: products summed into one output element.
    times: executions (scan length, devices).
    parameters: paths of the parameters among the operands.
    elements: their elements.
    declared: the work in words where `counted_as` declared it; such a row has
      no shapes.
    replaced: runs in place of declared work; only `Report.extra_macs` counts
      it.
  """

  path: str
  scope: str
  op: str
  shapes: tuple[tuple[int, ...], ...]
  macs: int
  w_bits: int
  a_bits: int
  length: int
  times: int = 1
  parameters: tuple[str, ...] = ()
  elements: int = 0
  declared: str = ""
  replaced: bool = False

  @property
  def bits(self) -> str:
    """`"w1a1"`."""
    return f"w{self.w_bits}a{self.a_bits}"

  @property
  def is_binary(self) -> bool:
    """Whether both operands have 1 bit."""
    return self.w_bits == self.a_bits == 1

  @property
  def ace(self) -> int:
    """MACs x w_bits x a_bits, each at most 16."""
    return self.macs * min(self.w_bits, 16) * min(self.a_bits, 16)

  @property
  def accumulator_bits(self) -> float:
    """w_bits + a_bits + log2(length) (UNIQ, arXiv 1804.10969)."""
    return self.w_bits + self.a_bits + math.log2(self.length or 1)

  @property
  def has_weight(self) -> bool:
    """Whether an operand is a parameter (attention products have none)."""
    return bool(self.parameters)


@dataclasses.dataclass(frozen=True)
class TagSite:
  """A tag on the way of a parameter into a contraction.

  Attributes:
    root_id: equal for tags on the same values, up to a fixed multiply-add: a
      mask and `1 - mask` are one bit.
    bits: stored bits per element, of all terms times their density.
    parameters: the tagged value comes from them.
    densities: of the terms that are not dense.
    mask: over {0, 1}, 1 bit: may mark where another value is not zero.
    expression_id: like `root_id`, but of the values themselves.
  """

  root_id: int
  bits: Fraction
  parameters: tuple[int, ...]
  densities: tuple[Fraction, ...] = ()
  mask: bool = False
  expression_id: int = 0


@dataclasses.dataclass(frozen=True)
class ParameterUse:
  """One place where a parameter is read as a matrix.

  Attributes:
    parameter: its index.
    kind: `"kernel"`, `"embedding"`, `"mask"` or `"shift"` (of another
      parameter).
    tag_sites: of its tags; empty when it has none.
    row_length: elements of one packed row (the contracted length).
    masked: the program reads a mask beside it, which is stored separately.
    held: weights that it holds, if its elements are words of packed bits.
    masks: which elements are read (`TagSite.expression_id`): of one sign array,
      two terms with a mask each store parts of their own.
  """

  parameter: int
  kind: str
  tag_sites: tuple[TagSite, ...]
  row_length: int
  masked: bool = False
  held: int = 0
  masks: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ComputedScale:
  """A scale that is computed from a weight, and stored beside its values.

  Attributes:
    parameter: index of the weight.
    share: its elements per element of the weight, which a scan may slice.
    dtype_bits: width of its dtype.
    expression_id: equal for scales that are computed alike and stored once.
  """

  parameter: int
  share: Fraction
  dtype_bits: int
  expression_id: int


class Ledger:
  """Lists in program order, so that a trial can be cut off again.

  Loop bodies are interpreted until their carry repeats, and every branch of a
  cond is tried: `cut(mark)` takes back what was written since `mark()`.

  Attributes:
    rows: contractions.
    uses: of parameters.
    scales: computed from weights.
    work: element-wise operations as `(scope, operation, count)`.
    warnings, notes: as `(place, text)`.
  """

  def __init__(self):
    self.rows: list[Row] = []
    self.uses: list[ParameterUse] = []
    self.scales: list[ComputedScale] = []
    self.work: list[tuple[str, str, int]] = []
    self.warnings: list[tuple[str, str]] = []
    self.notes: list[tuple[str, str]] = []

  def mark(self) -> dict[str, int]:
    """A position to which `cut` can return."""
    return {name: len(items) for name, items in vars(self).items()}

  def cut(self, mark: dict[str, int]) -> "Ledger":
    """Removes and returns what was written since `mark`."""
    gone = Ledger()
    for name, n in mark.items():
      items = getattr(self, name)
      getattr(gone, name).extend(items[n:])
      del items[n:]
    return gone

  def extend(self, more: "Ledger") -> None:
    """Writes down what another ledger holds."""
    for name, items in vars(more).items():
      getattr(self, name).extend(items)

  def warn(self, place: str, text: str) -> None:
    """Records what may make the count wrong."""
    self.warnings.append((place, text))

  def note(self, place: str, text: str) -> None:
    """Records what the reader should know."""
    self.notes.append((place, text))


@dataclasses.dataclass(frozen=True)
class Parameter:
  """One stored array.

  Attributes:
    path: e.g. `"stage1.conv.kernel"`.
    shape: its shape.
    dtype_bits: width of its dtype.
    role: `"kernel"`, `"mask"` (of a kernel), `"embedding"`, `"bias"` (of a
      module that has a kernel), `"bn"` (scale and shift of a batch norm),
      `"bn_stat"` (its running mean and variance), `"stat"` (another measured
      value), `"scale"` (computed from a kernel, and stored beside it) or
      `"other"`.
    bits: deployed width: of its tags, the bits of all terms, each times its
      density; else of its dtype.
    row_length: elements of one packed row; 0 for what is not a matrix.
    tagged: whether a tag narrowed it.
    trained: a parameter (statistics are not).
    densities: of the terms whose zeros are not stored and which the program
      has no mask for.
    density: share of its elements that are stored.
    held: weights that it holds, if its elements are words of packed bits.
    weight: path of the weight that it is a term of, if it says so.
  """

  path: str
  shape: tuple[int, ...]
  dtype_bits: int
  role: str
  bits: int | Fraction
  row_length: int = 0
  tagged: bool = False
  trained: bool = True
  densities: tuple[Fraction, ...] = ()
  density: Fraction = Fraction(1)
  held: int = 0
  weight: str = ""

  @property
  def sparse(self) -> bool:
    """Some term has zeros that are not stored, and a mask beside it."""
    return bool(self.densities)

  @property
  def size(self) -> int:
    return math.prod(self.shape)

  @property
  def module(self) -> str:
    return self.path.rpartition(".")[0]

  @property
  def name(self) -> str:
    return self.path.rpartition(".")[2]


def tally(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
  """Sums by key, sorted: `[("b", 1), ("a", 2), ("b", 3)]` is `{a: 2, b: 4}`."""
  out: dict[Any, int] = {}
  for key, n in pairs:
    out[key] = out.get(key, 0) + n
  return dict(sorted(out.items()))
