"""The report of a conversion."""

import jax
import jax.numpy as jnp
from flax import nnx

import bnnjax as bx
from tests.convert import networks
from tests.convert.networks import RULE


def test_without_an_example_there_are_no_costs():
  model = networks.ViT(nnx.Rngs(0))
  _, report = bx.binarize(model, {"patch": None, "head": None, ".*": RULE})
  assert len(report.paths) == 12
  assert report.before is None
  assert "ACE" not in str(report)
  assert "<td>blocks.0.up</td>" in report._repr_html_()


def test_an_end_that_is_named_is_binarized():
  model, x = networks.ViT(nnx.Rngs(0)), networks.batch(networks.ViT)
  _, report = bx.binarize(model, {"head": RULE, ".*": None}, x)
  assert report.paths == ("head",)
  share = next(row for row in report.rows() if row[0] == "head")
  macs = 2 * 8 * 4
  assert share[6:] == (f"{256 * macs:,}", f"{macs:,}")


def test_costs_of_a_tied_kernel_stand_in_one_line():
  model = nnx.Sequential(*[nnx.Linear(4, 4, rngs=nnx.Rngs(0)) for _ in "abcd"])
  model.layers[2].kernel = model.layers[1].kernel
  x = jax.ShapeDtypeStruct((2, 4), jnp.float32)
  _, report = bx.binarize(model, {r"layers\.[12]": RULE}, x)
  rows = [row[5:] for row in report.rows()]
  macs = 2 * 4 * 4
  assert rows[1] == ("50.0 %", f"{2 * 256 * macs:,}", f"{2 * macs:,}")
  assert rows[2] == ("in layers.1", "", "")
