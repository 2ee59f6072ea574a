"""Our figure for a published row: of a network, of a layer, or of printed ones."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp

from bnnjax.core.bits import tag
from bnnjax.cost import count
from bnnjax.cost.energy import energy
from bnnjax.cost.report import Report

from .counts import Count
from .networks import (
  LAYERS,
  NETWORKS,
  SIDE,
  TOKENS,
  bits_per_weight,
  describe,
  of_row,
  report,
)
from .printed import Cost


def precision(bits: int) -> Callable[[Report], int]:
  """MACs whose wider operand has so many bits (Larq)."""
  return lambda r: sum(
    x.macs for x in r.rows if max(x.w_bits, x.a_bits) == bits
  )


def widths(bits: int) -> Callable[[Report], int]:
  return lambda r: r.macs[bits, bits]


def size(convention: str) -> Callable[[Report], int]:
  return lambda r: r.weight_bytes(convention)


def ops(r: Report) -> Fraction:
  return Fraction(r.ops_x64, 64)


def two_per_mac(r: Report, rule: str = "max") -> Fraction:
  """Two operations a MAC, low-bit ones on 64-bit words."""
  return Fraction(2 * r.cpu64_x64(rule), 64)


# Metric of a row, or (family, metric) -> our figure, in base units.
FIGURES: dict[str | tuple[str, str], Callable[[Report], int | Fraction]] = {
  "ACE": lambda r: r.ace,
  "ACE (compute_cost)": lambda r: r.ace,
  "BOPs": lambda r: r.bops,
  "FLOPs": lambda r: r.flops,
  "OPs": ops,
  "w1a1 MACs": widths(1),
  "w4a4 MACs": widths(4),
  "w8a8 MACs": widths(8),
  "weight storage (1/4/8 bit kernels only)": size("packed"),
  "degree of binarization BOPs/(64*OPs)": lambda r: Fraction(r.bops, r.ops_x64),
  "1-bit ops": lambda r: 2 * r.bops,
  "1-bit MACs": precision(1),
  "32-bit MACs": precision(32),
  "BOPs (MAC*w*a)": lambda r: r.bit_operations,
  ("larq-zoo", "model size"): size("larq"),
  ("hawq-v3", "model size"): size("hawq"),
  ("bert-glue", "model size"): size("bibert"),
  ("bert-glue", "FLOPs"): two_per_mac,
  ("bert-glue", "FLOPs saving"): lambda r: (
    two_per_mac(report("BERT")) / two_per_mac(r)
  ),
  ("bert-glue", "model size saving"): lambda r: Fraction(
    size("float32")(r), size("bibert")(r)
  ),
  ("bipft", "operations saving"): lambda r: (
    two_per_mac(report("BERT")) / two_per_mac(r)
  ),
  ("bipft", "memory saving"): lambda r: Fraction(
    size("float32")(report("BERT")), size("bibert")(r)
  ),
  ("bitnet", "memory"): size("half"),
}


def shares(r: Report, part: str) -> int:
  """MACs of the rows whose path has this part."""
  return sum(x.macs for x in r.rows if part in x.path)


def without_dense(r: Report) -> Fraction:
  return ops(r) - shares(r, "head")


def without_tables(r: Report) -> Fraction:
  """BiBERT's bytes of encoder, word embedding, norms and biases."""
  left_out = ("position", "type", "pooler.kernel")
  bits = sum(
    p.size * p.bits
    for p in r.parameters
    if p.trained and not p.path.startswith(left_out)
  )
  return Fraction(bits, 8)


def others(p: Cost, r: Report) -> dict[str, Fraction]:
  """The figure of a row under conventions that papers also use."""
  family, metric, model = p.row["family"], p.metric, p.row["model"]
  if metric == "OPs" or (family, metric) == ("meliusnet", "FLOPs"):
    figure = Fraction(FIGURES[metric](r))
    return {"without the dense layer": figure - shares(r, "head")}
  if family == "larq-zoo" and metric == "32-bit MACs":
    blur = shares(r, "blur")
    return {"without the fixed blur pools": precision(32)(r) - blur}
  if metric.startswith("degree"):
    binary = Fraction(r.bops, 64)
    stem = shares(r, "stem")
    return {
      "CPU64 with max(w, a) / 64 in place of OPs": binary / cpu64(r, "max"),
      "CPU64 with w x a / 64": binary / cpu64(r, "product"),
      "the stem alone beside the binary part": binary / (binary + stem),
    }
  if (family, metric) == ("hawq-v3", "model size"):
    return {"with biases and batch norm in float32": size("larq")(r)}
  if (family, metric) == ("bert-glue", "FLOPs"):
    pooler = dataclasses.replace(
      r, rows=tuple(x for x in r.rows if "pooler" in x.path)
    )
    more = (TOKENS[0] - 1) * two_per_mac(pooler)
    return {
      "the pooler at every token": two_per_mac(r) + more,
      "w x a / 64 for each low-bit MAC": two_per_mac(r, "product"),
    }
  if (family, metric) == ("bert-glue", "model size"):
    found = {"without position and type tables and pooler": without_tables(r)}
    if model in ("BERT-base 6L", "BERT-base 4L"):
      features = NETWORKS[model].get("features", 768)
      teacher = 4 * 768 * (features + 1)
      name = "with TinyBERT's layer to the 768 features of its teacher"
      found[name] = size("bibert")(r) + teacher
    return found
  return {}


def hypotheses(p: Cost, r: Report) -> dict[str, Fraction]:
  """What would give another figure, without evidence that it was done."""
  copied = p.row["model"] in ("BNN", "Bi-RealNet-18", "Bi-RealNet-34")
  if copied and p.metric in ("FLOPs", "OPs"):
    stem = next(x for x in r.rows if "stem" in x.path)
    name = (
      "two more operations for each output of the stem, which the rows of"
      " ReActNet itself in this table exclude"
    )
    return {name: FIGURES[p.metric](r) + 2 * math.prod(stem.shapes[2])}
  return {}


def cpu64(r: Report, rule: str) -> Fraction:
  return Fraction(r.cpu64_x64(rule), 64)


def from_printed(p: Cost, rows: Sequence[Cost]) -> dict | None:
  """Fields of a `Count` that follows from printed figures alone."""
  metric, table = p.metric, p.row["table"]
  if metric == "energy 45nm":
    inputs = [find(rows, p.row["model"], m) for m in ("mult", "addi")]
    ends = zip(*(q.interval() for q in inputs))
    return {
      "ours": picojoules(*(q.number * q.base for q in inputs)),
      "counted": "printed: energy() of the multiplications and additions",
      "within": tuple(picojoules(*end) for end in ends),
    }
  if metric == "model size saving" and table.startswith("later abstract"):
    sizes = [
      find(rows, model, "model size").number
      for model in ("FP LDM-4", "BinaryDM LDM-4")
    ]
    return {
      "ours": sizes[0] / sizes[1],
      "counted": "printed: sizes of FP and W1.1",
    }
  if metric == "avg weight bits incl. mask" and p.row["model"] == "BiLLM":
    own = find(rows, "BiLLM LLaMA-7B", "avg weight bits").number
    return {"ours": own + 1, "counted": "printed: its own figure and a bitmap"}
  return None


def picojoules(muls: Fraction, adds: Fraction) -> Fraction:
  return Fraction(str(energy(float(muls), float(adds))))


def find(rows: Sequence[Cost], model: str, metric: str) -> Cost:
  """The first row of a model whose metric begins like this."""
  return next(
    q for q in rows if q.row["model"] == model and q.metric.startswith(metric)
  )


def layer(p: Cost) -> dict | None:
  """Fields of a `Count` of a single layer or block."""
  if p.metric == "OPs saving" and p.row["table"].startswith("v1 abstract"):
    shape = jax.ShapeDtypeStruct((SIDE, SIDE), jnp.float32)
    r = count(lambda x, w: tag(x, 4) @ tag(w, 1), shape, shape)
    ours = r.total_macs / cpu64(r, "product")
    return {"ours": ours, "counted": "a layer at W1A4, w x a / 64"}
  if p.row["model"].startswith("BitNet b1.58") and p.metric.startswith("avg"):
    return {
      "ours": Fraction(math.log2(3)),
      "counted": "a ternary weight, log2(3)",
      "hypotheses": (("1.585, rounded once more", Fraction("1.585")),),
    }
  for (model, metric), (words, arguments) in LAYERS.items():
    if p.row["model"].startswith(model) and p.metric.startswith(metric):
      mask = p.metric.endswith("incl. mask")
      return {"ours": bits_per_weight(**arguments, mask=mask), "counted": words}
  return None


def network(p: Cost, rows: Sequence[Cost]) -> dict | None:
  """Fields of a `Count` of a whole network."""
  name = of_row(p.row)
  figure = FIGURES.get((p.row["family"], p.metric)) or FIGURES.get(p.metric)
  if name is None or figure is None:
    return None
  r = report(name)
  fields = {
    "ours": Fraction(figure(r)),
    "counted": describe(name),
    "others": [(k, Fraction(v)) for k, v in others(p, r).items()],
    "hypotheses": tuple((k, Fraction(v)) for k, v in hypotheses(p, r).items()),
  }
  if p.metric == "FLOPs" and p.row["model"] in ("BinaryBERT", "BiBERT", "BiT*"):
    ratio = fields["ours"] / two_per_mac(report("BERT"))
    float32 = find(rows, "BERT", "FLOPs")
    scaled = float32.number * float32.base * ratio
    fields["others"].append(("printed figure of float, scaled as ours", scaled))
  if p.metric.endswith(" saving") and p.row["family"] == "bert-glue":
    metric = p.metric.removesuffix(" saving")
    ratio = find(rows, "BERT", metric).number
    ratio /= find(rows, "BiBERT", metric).number
    fields["others"].append(("the ratio of the printed, rounded values", ratio))
  if p.row["model"] in ("BiBERT 6L", "BiBERT 4L"):
    float32 = find(rows, p.row["model"].replace("BiBERT", "BERT-base"), "model")
    why = "one bit for each parameter of the printed float size"
    fields["at_least"] = (why, float32.interval()[0] / 32)
  fields["others"] = tuple(fields["others"])
  return fields


def bracket(p: Cost) -> dict | None:
  """What PokeBNN costs at the legal widths beside 1.4."""
  if p.row["model"] != "PokeBNN-1.4x":
    return None
  beside = ("PokeBNN-1.25x", "PokeBNN-1.5x")
  return {"others": tuple((n, Fraction(report(n).ace)) for n in beside)}


def count_row(p: Cost, rows: Sequence[Cost]) -> Count | None:
  """Our figure for a published row, or `None`."""
  fields = from_printed(p, rows) or layer(p) or network(p, rows) or bracket(p)
  return fields and Count(p.line, p.row["model"], p.metric, **fields)
