"""Norms: by hand, against recorded ones, and their statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax.core.progress import Mode
from bnnjax.layers.norm import (
  BatchChannelNorm,
  BatchNorm,
  GatedRMSNorm,
  make,
)
from tests import golden_cases

TOLERANCE = 1e-4


@pytest.mark.golden
def test_gated_norm():
  (case,) = golden_cases.load("mamba2_ssd.npz", "rms", separator=".")
  norm = GatedRMSNorm(case["w"].size, epsilon=float(case["eps"]))
  graph, state = nnx.split(norm)
  state = {"scale": jnp.asarray(case["w"])}

  @jax.jit
  def run(*given):
    apply = lambda state, *xz: nnx.merge(graph, state)(*xz)  # noqa: E731
    y, vjp = jax.vjp(apply, *given)
    return y, vjp(jnp.asarray(case["gy"]))

  y, (grads, dx, dz) = run(state, *(jnp.asarray(case[k]) for k in "xz"))
  for name, got in (
    ("y", y), ("gx", dx), ("gz", dz), ("gw", grads["scale"])
  ):  # fmt: skip
    golden_cases.close(got, case[name], TOLERANCE, name)


def test_norm_of_groups_by_hand():
  norm = GatedRMSNorm(4, groups=2, epsilon=0.0)
  x = np.array([[3.0, 4.0, 1.0, 1.0]], np.float32)
  z = np.full_like(x, 50.0)  # a gate that is 50 times one
  root = 12.5**0.5
  want = [[3 / root, 4 / root, 1, 1]]
  np.testing.assert_allclose(norm(x, z), want, rtol=1e-5)


def test_batch_statistics_are_used_in_training_only(rngs):
  norm = BatchNorm(4, momentum=0.9, rngs=rngs)
  x = 3 + jax.random.normal(jax.random.key(0), (2, 6, 4))
  np.testing.assert_allclose(norm(x), x, atol=1e-4)
  y = norm(x, Mode.training())
  np.testing.assert_allclose(np.mean(y, axis=(0, 1)), np.zeros(4), atol=1e-5)
  mean = 0.1 * np.mean(x, axis=(0, 1))
  np.testing.assert_allclose(norm.mean[...], mean, rtol=1e-5)


def test_estimates_move_first_and_normalize_then():
  """One channel, constant input 2: m = 0.5 * 2, v = 0.5 + 0.5 (2 - 0)^2."""
  norm = BatchChannelNorm(1, groups=1, statistics="estimate", speed=0.5)
  norm(jnp.full((3, 1, 1), 2.0), Mode.training())
  np.testing.assert_allclose(norm.mean[...], [1.0])
  np.testing.assert_allclose(norm.var[...], [2.5])


def test_a_norm_by_name(rngs):
  norm = make("batch", 4, momentum=0.5, dtype=jnp.bfloat16, rngs=rngs)
  assert isinstance(norm, BatchNorm)
  assert (norm.momentum, norm.dtype) == (0.5, jnp.bfloat16)
  text = "batch_channel(statistics='estimate', groups=2, momentum=0.7)"
  norm = make(text, 4, momentum=0.5, rngs=rngs)
  assert isinstance(norm, BatchChannelNorm)
  assert (norm.statistics, norm.groups, norm.momentum) == ("estimate", 2, 0.7)


def test_groups_are_32_or_one_for_each_channel():
  groups = [BatchChannelNorm(n).groups for n in (8, 32, 64)]
  assert groups == [8, 32, 32]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("bach", "Unknown norm 'bach'. Did you mean 'batch'"),
    ("batch(groups=2)", "Unknown hyper-parameter of norm 'batch' 'groups'"),
    ("batch(momentum=2.0)", "`momentum` of norm 'batch' must be a number from"),
    ("batch_channel(groups=3)", "must divide the channels: got 3 for 4"),
    ("batch_channel(groups=0)", "`groups` of BatchChannelNorm must be an int"),
    ("batch_channel(speed=2.0)", "`speed` of norm 'batch_channel' must be a"),
  ],
)
def test_norms_that_do_not_exist(text, message, rngs):
  with pytest.raises(ValueError, match=message):
    make(text, 4, rngs=rngs)


def test_errors():
  with pytest.raises(ValueError, match="Unknown statistics 'batsh'"):
    BatchChannelNorm(4, groups=2, statistics="batsh")
  with pytest.raises(ValueError, match="must divide the channels: got 3 for 4"):
    BatchChannelNorm(4, groups=3)
  with pytest.raises(ValueError, match="must divide the features: got 3 for 4"):
    GatedRMSNorm(4, groups=3)
