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


def test_a_binarizer_is_shown_by_its_names():
  model = networks.Around(nnx.Linear(4, 4, rngs=nnx.Rngs(0)))
  made = bx.parse("center > ste | channel_l1", "weight")
  _, report = bx.binarize(model, {"layer": {"weight": made}}, jnp.ones((1, 4)))
  assert report.rows()[1][3:5] == ("center > ste | channel_l1", "float")


class AfterReLU(nnx.Module):
  """A linear layer before a ReLU, one behind it, and a product of inputs."""

  def __init__(self):
    self.layers = nnx.List(
      [nnx.Linear(4, 4, rngs=nnx.Rngs(i)) for i in range(4)]
    )

  def __call__(self, x):
    stem, before, behind, head = self.layers
    x = nnx.relu(before(stem(x)))
    return head(behind(x) @ x.T @ x)


def test_layers_that_see_one_sign_are_named():
  x = jnp.ones((2, 4))
  _, report = bx.binarize(AfterReLU(), {".*": RULE}, x)
  (warning,) = report.warnings
  assert warning.startswith("layers.2: the input is never negative")
  assert warning in str(report)
  assert "is never negative" in report._repr_html_()
  for act in (None, "ste_heaviside", "shift > ste", "dorefa"):
    rule = {"weight": "ste", "act": act}
    _, report = bx.binarize(AfterReLU(), {".*": rule}, x)
    assert report.warnings == ()


def test_rows_add_up_to_the_totals():
  """Products of two activations have a row of their own."""
  _, report = bx.binarize(AfterReLU(), {".*": RULE}, jnp.ones((2, 4)))
  rows = report.rows()
  assert rows[-1][0] == "(other contractions)"
  ace = f"{256 * 2 * (2 * 2 * 4):,}"
  assert rows[-1][5:] == ("20.0 %", ace, ace)  # of 4 * 32 + 32 MACs
  for column, total in ((-2, report.before.ace), (-1, report.after.ace)):
    assert sum(int(row[column].replace(",", "")) for row in rows) == total
