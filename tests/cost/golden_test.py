"""Counts that other people published, from `cost_golden.json`.

Entries are found by family in the folder `BNNJAX_GOLDEN` (else tests/golden),
and every shape and width comes from the entry. A family is one function, of a
single operation here, of a model in `golden_families`. A field that the entry's
`agrees` map marks false is a contradiction in the source: we count what its own
arithmetic says, and not what was published.
"""

import collections
import functools
import json
import math
import os
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.cost import count, energy
from tests.cost import golden_families, golden_models

FOLDER = pathlib.Path(
  os.environ.get("BNNJAX_GOLDEN")
  or pathlib.Path(__file__).parents[1] / "golden"
)


def entries():
  path = FOLDER / "cost_golden.json"
  return json.loads(path.read_text())["entries"] if path.exists() else []


def shape(dims):
  return jax.ShapeDtypeStruct(tuple(dims), jnp.float32)


def conv_report(config):
  """A convolution of any rank, channels last."""
  spatial = "dhw"[-len(config["kernel"]) :]
  layout = f"in_{spatial}c"
  inputs, outputs = config[layout], config[layout.replace("in_", "out_")]
  groups = config.get("groups", 1)
  kernel = (*config["kernel"], inputs[-1] // groups, outputs[-1])
  letters = spatial.upper()

  def per_axis(name):
    value = config.get(name, 1)
    return [value] * len(spatial) if isinstance(value, int) else value

  numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")

  def layer(x, k):
    y = lax.conv_general_dilated(
      tag(x, config["a_bits"], role="act"),
      tag(k, config["w_bits"], role="weight"),
      per_axis("stride"),
      config.get("padding", "SAME"),
      rhs_dilation=per_axis("dilation"),
      dimension_numbers=numbers,
      feature_group_count=groups,
    )
    assert list(y.shape[1:]) == outputs
    return y

  return count(layer, shape([1, *inputs]), shape(kernel), params=1)


def matmul_report(config):
  """A product of two activations: nothing is stored."""

  def layer(a, b):
    return tag(a, config["lhs_bits"]) @ tag(b, config["rhs_bits"])

  return count(layer, shape(config["lhs"]), shape(config["rhs"]))


def single_layer(entry):
  config = entry["config"]
  report = (matmul_report if "lhs" in config else conv_report)(config)
  memory = report.weight_bits("aqt")
  return {
    "macs": report.total_macs,
    "weights": report.kernel_count,
    "ace": report.ace,
    "compute_cost_linear": report.compute_cost_linear,
    "memory_bits": memory,
    # Relative to 16 bits a weight; 1 by definition where there is none.
    "memory_ratio_to_bf16": memory / (16 * report.kernel_count)
    if report.kernel_count
    else 1.0,
  }


def bops_uniq(entry):
  config = entry["config"]
  k, pixels = config["k"], config["out_pixels"]
  # VALID over a strip of k rows: one output pixel per column.
  report = count(
    lambda x, w: lax.conv_general_dilated(
      tag(x, config["a_bits"], role="act"),
      tag(w, config["w_bits"], role="weight"),
      (1, 1),
      "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ),
    shape([1, k, pixels + k - 1, config["n_in"]]),
    shape([k, k, config["n_in"], config["m_out"]]),
  )
  return {
    "macs": report.total_macs,
    "bops_uniq": report.bit_operations_uniq,
    "bops_uniq_per_pixel": report.bit_operations_uniq / pixels,
    "bops_simple": report.bit_operations,
    "accumulator_bits": report.rows[0].accumulator_bits,
  }


def energy_45nm(entry):
  config = entry["config"]
  muls, adds = config["mul_count"], config["add_count"]
  table = {"mul": config["mul_pJ"], "add": config["add_pJ"]}
  if (table["mul"], table["add"]) == (3.7, 0.9):
    assert energy(muls, adds, table) == energy(muls, adds, "45nm")
  return {"energy_pJ": energy(muls, adds, table)}


OPERATIONS = {
  "single-layer": single_layer,
  "bops-uniq": bops_uniq,
  "energy-45nm": energy_45nm,
}
CASES = entries()


@functools.cache
def counted(index):
  """Report (models only) and fields of an entry, once for all its fields."""
  entry = CASES[index]
  family = entry["family"]
  if family in OPERATIONS:
    return None, OPERATIONS[family](entry)
  report, fields = golden_families.MODELS[family](entry)
  return report, {**golden_models.common(report), **fields}


def cases(has):
  return [pytest.param(i, id=e["id"]) for i, e in enumerate(CASES) if has(e)]


def fields():
  """`(index of entry, field, what it has to be)` of everything that agrees."""
  for i, entry in enumerate(CASES):
    agrees, own = entry.get("agrees", {}), entry.get("own_arithmetic", {})
    want = {k: v for k, v in entry["expected"].items() if agrees.get(k, True)}
    for field, value in own.items():
      want.setdefault(field.removeprefix("own_"), value)
    for field, value in want.items():
      yield pytest.param(i, field, value, id=f"{entry['id']}-{field}")


def contradictions():
  """`(index of entry, field)` of what a source counts differently."""
  for i, entry in enumerate(CASES):
    for field, agrees in entry.get("agrees", {}).items():
      if not agrees:
        yield pytest.param(i, field, id=f"{entry['id']}-{field}")


@pytest.mark.golden
def test_every_family_is_known():
  known = {*OPERATIONS, *golden_families.MODELS}
  assert CASES
  assert {e["family"] for e in CASES} <= known


@pytest.mark.golden
@pytest.mark.parametrize(("index", "field", "want"), list(fields()))
def test_golden(index, field, want):
  got = counted(index)[1][field]
  if isinstance(want, float):
    tolerance = CASES[index].get("tolerance_rel", 1e-12)
    assert math.isclose(got, want, rel_tol=tolerance)
  else:
    assert got == want


@pytest.mark.golden
@pytest.mark.parametrize(("index", "field"), list(contradictions()))
def test_contradiction(index, field):
  """The published number is not what its network costs."""
  assert counted(index)[1][field] != CASES[index]["expected"][field]


@pytest.mark.golden
@pytest.mark.parametrize("index", cases(lambda e: "layers" in e))
def test_layers(index):
  """The same layers, whatever their names and order."""
  entry, (report, _) = CASES[index], counted(index)
  row = {
    "w_bits": lambda r: r.w_bits,
    "a_bits": lambda r: r.a_bits,
    "weights": lambda r: r.elements,
    "macs": lambda r: r.macs,
    "ace": lambda r: r.ace,
  }
  columns = [c for c in entry["layer_columns"] if c in row]
  at = [entry["layer_columns"].index(c) for c in columns]
  want = collections.Counter(tuple(x[i] for i in at) for x in entry["layers"])
  got = collections.Counter(
    tuple(row[c](r) for c in columns) for r in report.rows
  )
  assert got == want
