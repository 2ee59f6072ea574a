"""The report of `binarize`: what became of each layer, and what that costs."""

import dataclasses
from collections.abc import Sequence

from bnnjax import markup
from bnnjax.convert.rules import Rule, Spec
from bnnjax.cost.ledger import Row
from bnnjax.cost.report import Report

HEAD = (
  "path",
  "op",
  "rule",
  "weight",
  "act",
  "MACs",
  "ACE before",
  "ACE after",
)
OTHERS = "(other contractions)"
PERCENT = 100.0


@dataclasses.dataclass(frozen=True)
class Layer:
  """A layer of the model.

  Attributes:
    path: dotted.
    kernel: path of its kernel in the cost reports.
    op: name of its operation.
    key: of the rule that matches it; empty if none does.
    rule: what was done.
    is_end: whether it stays float as the first or the last layer.
    tied: path of a layer above with the same kernel, whose costs include those
      of this one; empty if there is none.
  """

  path: str
  kernel: str
  op: str
  key: str
  rule: Rule
  is_end: bool = False
  tied: str = ""


@dataclasses.dataclass(frozen=True)
class Conversion:
  """What `binarize` did.

  Attributes:
    layers: in the order in which the model calls them, then those that it does not
      call; without an example, by path.
    before, after: cost reports; `None` without an example.
    warnings: what the binarized network may compute wrong, as far as the example
      shows it.
  """

  layers: tuple[Layer, ...]
  before: Report | None = None
  after: Report | None = None
  warnings: tuple[str, ...] = ()

  @property
  def paths(self) -> tuple[str, ...]:
    """Paths of the layers that were binarized."""
    return tuple(x.path for x in self.layers if not x.rule.is_float)

  def rows(self) -> list[tuple[str, ...]]:
    """Cells of the table, see `HEAD`; without costs the last three are left out.

    The last row has the contractions that belong to no layer, such as the products
    of attention, if there are any.
    """
    return [*map(self._row, self.layers), *self._others()]

  def _row(self, layer: Layer) -> tuple[str, ...]:
    key = layer.key or "(none)"
    if layer.is_end:
      key += " (first or last: float)"
    cells = (
      layer.path,
      layer.op,
      key,
      _shown(layer.rule.weight),
      _shown(layer.rule.act),
    )
    if self.before is None or self.after is None:
      return cells
    if layer.tied:
      return *cells, f"in {layer.tied}", "", ""
    kernel = {layer.kernel}
    before, after = (
      [row for row in report.rows if kernel.intersection(row.parameters)]
      for report in (self.before, self.after)
    )
    return *cells, *self._costs(before, after)

  def _others(self) -> list[tuple[str, ...]]:
    """The row of the contractions without a layer."""
    if self.before is None or self.after is None:
      return []
    kernels = {layer.kernel for layer in self.layers}
    before, after = (
      [row for row in report.rows if kernels.isdisjoint(row.parameters)]
      for report in (self.before, self.after)
    )
    if not any(row.macs for row in (*before, *after)):
      return []
    cells = (OTHERS, *[""] * (len(HEAD) - 4))
    return [(*cells, *self._costs(before, after))]

  def _costs(
    self, before: Sequence[Row], after: Sequence[Row]
  ) -> tuple[str, str, str]:
    """Share of the MACs, and ACE before and after, of some contractions."""
    total = self.before.total_macs
    macs = sum(row.macs for row in before)
    share = PERCENT * macs / total if total else 0.0
    ace = [sum(row.ace for row in rows) for rows in (before, after)]
    return f"{share:.1f} %", f"{ace[0]:,}", f"{ace[1]:,}"

  def __str__(self) -> str:
    head = self._head()
    rows = [head, *self.rows()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
      "  ".join(cell.ljust(n) for cell, n in zip(row, widths)).rstrip()
      for row in rows
    ]
    return "\n".join([*lines, *self._totals()])

  def _repr_html_(self) -> str:
    table = markup.table(self._head(), self.rows())
    return f"{table}\n{markup.items(self._totals())}"

  def _head(self) -> tuple[str, ...]:
    return HEAD if self.before is not None else HEAD[:5]

  def _totals(self) -> Sequence[str]:
    if self.before is None or self.after is None:
      return [
        f"{len(self.paths)} of {len(self.layers)} layers are binarized.",
        *self.warnings,
      ]
    return [
      f"{len(self.paths)} of {len(self.layers)} layers are binarized: ACE"
      f" {self.before.ace:,} -> {self.after.ace:,}, weights"
      f" {self.before.weight_bytes('deployed'):,} ->"
      f" {self.after.weight_bytes('deployed'):,} bytes.",
      *self.warnings,
      *self.after.warnings,
    ]


def _shown(spec: Spec) -> str:
  return "float" if spec is None else str(spec)
