"""Plain records that the walker writes and the report reads."""

import dataclasses
import math
from fractions import Fraction


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
    replaced: runs in the place of declared work; in no figure but
      `Report.extra_macs`.
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
class Use:
  """One place where a parameter is read as a matrix.

  Attributes:
    parameter: its index.
    kind: `"kernel"` or `"embedding"`.
    sites: `((number, bits), ...)` of its tags; empty when it has none.
    row: elements of one packed row (the contracted length).
  """

  parameter: int
  kind: str
  sites: tuple[tuple[int, Fraction], ...]
  row: int


@dataclasses.dataclass(frozen=True)
class Parameter:
  """One stored array.

  Attributes:
    path: e.g. `"stage1.conv.kernel"`.
    shape: its shape.
    dtype_bits: width of its dtype.
    role: `"kernel"`, `"embedding"`, `"bias"` (of a module that has a kernel),
      `"bn"` (scale and shift of a batch norm), `"bn_stat"` (its running mean
      and variance) or `"other"`.
    bits: deployed width: of its tags, the bits of all terms, each times its
      density; else of its dtype.
    row: elements of one packed row; 0 for what is not a matrix.
    tagged: whether a tag narrowed it.
    trained: an `nnx.Param` (statistics are not).
    sparse: some term has zeros that are not stored.
  """

  path: str
  shape: tuple[int, ...]
  dtype_bits: int
  role: str
  bits: int | Fraction
  row: int = 0
  tagged: bool = False
  trained: bool = True
  sparse: bool = False

  @property
  def size(self) -> int:
    return math.prod(self.shape)

  @property
  def module(self) -> str:
    return self.path.rpartition(".")[0]

  @property
  def name(self) -> str:
    return self.path.rpartition(".")[2]
