"""Counts that other people published, from `cost_golden.json`.

Entries are found by family in the folder `BNNJAX_GOLDEN` (else tests/golden),
and every shape and width comes from the entry. A family is one function here:
entry -> {field of "expected": what we count}. Fields that the entry's `agrees`
map marks false are contradictions in the source and are not compared.
"""

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
  numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")

  def layer(x, k):
    y = lax.conv_general_dilated(
      tag(x, config["a_bits"], role="act"),
      tag(k, config["w_bits"], role="weight"),
      config.get("stride", [1] * len(spatial)),
      config.get("padding", "SAME"),
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


FAMILIES = {
  "single-layer": single_layer,
  "bops-uniq": bops_uniq,
  "energy-45nm": energy_45nm,
}
CASES = [e for e in entries() if e["family"] in FAMILIES]


@functools.cache
def counted(index):
  """What we count for an entry, once for all its fields."""
  entry = CASES[index]
  return FAMILIES[entry["family"]](entry)


def fields():
  """`(index of entry, field)` of everything that has to agree."""
  for i, entry in enumerate(CASES):
    contradicted = entry.get("agrees", {})
    for field in entry["expected"]:
      if contradicted.get(field, True):
        yield pytest.param(i, field, id=f"{entry['id']}-{field}")


@pytest.mark.golden
@pytest.mark.parametrize(("index", "field"), list(fields()))
def test_golden(index, field):
  entry = CASES[index]
  want, got = entry["expected"][field], counted(index)[field]
  if isinstance(want, float):
    tolerance = entry.get("tolerance_rel", 1e-12)
    assert math.isclose(got, want, rel_tol=tolerance)
  else:
    assert got == want
