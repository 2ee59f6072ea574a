"""A report as table, JSON, comparison and plot."""

import dataclasses
from typing import Any

from bnnjax.core.registry import unknown
from bnnjax.cost import metrics, sizes, tables
from bnnjax.cost.energy import TABLES

GROUPINGS = ("layer", "scope", "bits")
OTHER_DEFINITIONS = {
  "weight bytes": "kernels only, bits / 8 at their tag's width"
  " (convention 'packed'); 'deployed': everything that is stored, rows of"
  " tagged matrices in 32-bit words; others: Report.weight_bytes",
  "element-wise": "one per element of the result (reductions: of the input);"
  " fixed multiply-adds in one scope (batch norm, bias, scale) fold into one"
  " 'affine' each and not into the convolution; not in any other figure",
  "activation bytes": "peak of live arrays if nothing but broadcasts is fused,"
  " weights left out; 'deployed' stores tagged arrays at their width",
  "extra MACs": "products that run beyond the work that a recurrence or other"
  " function declares as its own (`counted_as`), e.g. those of its chunks; not"
  " in any other figure",
  "degree of binarization": "BOPs / (64 OPs) (BNext)",
  "bpw": "bits per weight: everything that is stored ('weight bytes deployed':"
  " scales, masks, norms too) over the elements of kernels and embeddings",
  "energy": "pJ, one multiplication and one addition per MAC, no multiplication"
  " by a 1-bit operand; both operands at most 8 bits: int8 with the"
  " multiplication x w x a / 64, the addition linear in the accumulator's bits"
  " between int8 and int32; at most 16: half; else float32; no memory traffic"
  " (45 nm: Horowitz 2014). With DRAM: and the deployed weight bytes once, 1300"
  " pJ for 64 bits",
}


def _grouped(report: Any, by: str) -> tuple[list[str], list[list[Any]]]:
  """Columns and lines of the grouping."""
  keys = {
    "layer": lambda r: (r.path, r.op, r.shapes, r.w_bits, r.a_bits),
    "scope": lambda r: (r.scope, r.w_bits, r.a_bits),
    "bits": lambda r: (r.w_bits, r.a_bits),
  }
  if by not in keys:
    raise unknown("grouping", by, GROUPINGS)
  groups: dict[Any, list[Any]] = {}
  for row in report.rows:
    groups.setdefault(keys[by](row), []).append(row)
  if by == "bits":
    groups = dict(sorted(groups.items()))
  total = report.ace or 1
  lines = []
  for key, rows in groups.items():
    macs, ace = sum(r.macs for r in rows), metrics.ace(rows)
    cells = [rows[0].w_bits, rows[0].a_bits, macs, ace]
    cells += [round(100 * ace / total, 2), sum(r.elements for r in rows)]
    head = {
      "layer": lambda key=key: [key[0] or "(top)", key[1], _shapes(key[2])],
      "scope": lambda key=key: [key[0] or "(top)"],
      "bits": lambda key=key: ["w{}a{}".format(*key)],
    }[by]()
    lines.append(head + cells)
  columns = {
    "layer": ["layer", "op", "shapes"],
    "scope": ["scope"],
    "bits": ["bits"],
  }[by]
  columns += ["W", "A", "MACs", "ACE", "ACE %", "parameters"]
  return columns, lines


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
  if not shapes:
    return "as declared"
  left, right, out = ("x".join(map(str, s)) or "()" for s in shapes)
  return f"{left} . {right} -> {out}"


def totals(report: Any) -> dict[str, Any]:
  """Headline figures by name."""
  return {
    "MACs": report.total_macs,
    **{f"MACs {k}": v for k, v in report.macs_by_name.items()},
    "extra MACs": report.extra_macs,
    "ACE": report.ace,
    "BOPs": report.bops,
    "FLOPs": report.flops,
    "OPs": report.ops,
    "degree of binarization": report.degree_of_binarization,
    "CPU64": report.cpu64(),
    "bit operations": report.bit_operations,
    "bit operations (UNIQ)": report.bit_operations_uniq,
    "linear cost": report.compute_cost_linear,
    "energy 45nm (pJ)": report.energy("45nm"),
    "energy 7nm (pJ)": report.energy("7nm"),
    "energy with DRAM 45nm (pJ)": report.energy("45nm", dram=True),
    "energy with DRAM 7nm (pJ)": report.energy("7nm", dram=True),
    "parameters": report.parameter_count,
    "weight bytes": report.weight_bytes(),
    "weight bytes deployed": report.weight_bytes("deployed"),
    "bpw": report.bits_per_weight,
    "activation bytes": report.activation_bytes(),
    "activation bytes deployed": report.activation_bytes(deployed=True),
    "element-wise": sum(report.elementwise.values()),
  }


def table(report: Any, format: str, by: str) -> str:
  """See `Report.table`."""
  columns, lines = _grouped(report, by)
  below = [f"{k} = {tables.human(v)}" for k, v in totals(report).items()]
  below += [f"warning: {w}" for w in report.warnings]
  below += [f"note: {n}" for n in report.notes]
  return tables.render(
    columns, lines, report.definitions, format, f"Cost of {report.name}", below
  )


def to_json(report: Any, rows: bool) -> dict[str, Any]:
  """See `Report.to_json`."""
  out = {
    "name": report.name,
    "macs": report.macs_by_name,
    "total_macs": report.total_macs,
    "extra_macs": report.extra_macs,
    "ace": report.ace,
    "conv_ace": report.conv_ace,
    "dense_ace": report.dense_ace,
    "bops": report.bops,
    "flops": report.flops,
    "ops": report.ops,
    "ops_x64": report.ops_x64,
    "degree_of_binarization": report.degree_of_binarization,
    "cpu64": {rule: report.cpu64(rule) for rule in metrics.CPU64},
    "bit_operations": report.bit_operations,
    "bit_operations_uniq": report.bit_operations_uniq,
    "compute_cost_linear": report.compute_cost_linear,
    "energy_pj": {name: report.energy(name) for name in TABLES},
    "energy_with_dram_pj": {
      name: report.energy(name, dram=True) for name in TABLES
    },
    "parameters": report.parameter_count,
    "weights_by_bits": {str(k): v for k, v in report.weights_by_bits.items()},
    "weight_bytes": report.weight_bytes(),
    "bits_per_weight": report.bits_per_weight,
    "weight_bytes_by_convention": {
      name: report.weight_bytes(name) for name in sizes.CONVENTIONS
    },
    "activation_bytes": report.activation_bytes(),
    "activation_bytes_deployed": report.activation_bytes(deployed=True),
    "elementwise": report.elementwise,
    "warnings": list(report.warnings),
    "notes": list(report.notes),
    "definitions": report.definitions,
  }
  if rows:
    out["rows"] = [
      {
        **dataclasses.asdict(r),
        "shapes": [list(s) for s in r.shapes],
        "parameters": list(r.parameters),
        "ace": r.ace,
      }
      for r in report.rows
    ]
  return out


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two reports side by side."""

  left: Any
  right: Any

  @property
  def rows(self) -> list[tuple[str, Any, Any, float | None]]:
    """`(figure, left, right, right / left)`; no ratio over zero."""
    a, b = totals(self.left), totals(self.right)
    # Figures of either report, the widths of both in one sorted block.
    widths = sorted({*self.left.macs, *self.right.macs})
    names = ["MACs", *(f"MACs w{w}a{x}" for w, x in widths)]
    names += [k for k in a if not k.startswith("MACs")]
    pairs = [(k, a.get(k, 0), b.get(k, 0)) for k in names]
    return [
      (k, x, y, y / x if x and y is not None else None) for k, x, y in pairs
    ]

  def table(self, format: str = "markdown") -> str:
    """The figures as text; `format` as in `Report.table`."""
    names = [self.left.name, self.right.name]
    if names[0] == names[1]:
      names = [f"{names[0]} (1)", f"{names[1]} (2)"]
    return tables.render(
      ["figure", *names, "ratio"],
      [list(row) for row in self.rows],
      self.left.definitions,
      format,
    )

  def to_json(self) -> dict[str, list[Any]]:
    """`{figure: [left, right, ratio]}`."""
    return {k: [a, b, r] for k, a, b, r in self.rows}

  def __str__(self) -> str:
    return self.table()


def plot(report: Any, ax: Any, metric: str) -> Any:
  """See `Report.plot`."""
  if metric not in ("ace", "macs"):
    raise unknown("plot metric", metric, ("ace", "macs"))
  if ax is None:
    try:
      import matplotlib.pyplot as plt
    except ImportError as error:
      raise ImportError(
        "`Report.plot` needs matplotlib: pip install 'bnnjax[plots]'."
      ) from error
    ax = plt.subplots(figsize=(8, 4), layout="constrained")[1]
  layers = list(dict.fromkeys(r.path or "(top)" for r in report.rows))
  bottom = dict.fromkeys(layers, 0)
  for key in report.macs:
    heights = dict.fromkeys(layers, 0)
    for r in report.rows:
      if (r.w_bits, r.a_bits) == key:
        heights[r.path or "(top)"] += getattr(r, metric)
    used = [k for k in layers if heights[k]]
    ax.bar(
      [layers.index(k) for k in used],
      [heights[k] for k in used],
      bottom=[bottom[k] for k in used],
      label="w{}a{}".format(*key),
    )
    for k in used:
      bottom[k] += heights[k]
  ax.set_xticks(range(len(layers)), layers, rotation=90, fontsize=6)
  ax.set_ylabel("ACE" if metric == "ace" else "MACs")
  ax.legend()
  return ax
