"""Converted layers compute what those of this package do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.layers.variables import LatentWeight
from tests.convert import networks
from tests.convert.networks import RULE


def converted(layer, rule, x):
  model = networks.Around(layer)
  bx.binarize(model, {"layer.*": rule}, x)
  return model


@pytest.mark.parametrize(
  ("theirs", "ours", "shape"),
  [
    (
      nnx.Linear(4, 3, rngs=nnx.Rngs(0)),
      lambda **k: bx.Linear(4, 3, **k),
      (2, 4),
    ),
    (
      nnx.Conv(
        4, 6, (3, 2), strides=2, feature_group_count=2, rngs=nnx.Rngs(0)
      ),
      lambda **k: bx.Conv(4, 6, (3, 2), strides=2, groups=2, **k),
      (2, 5, 6, 4),
    ),
    (
      nnx.Conv(4, 6, 3, padding=((2, 0),), kernel_dilation=2, rngs=nnx.Rngs(0)),
      lambda **k: bx.Conv(4, 6, (3,), padding=((2, 0),), dilation=2, **k),
      (2, 5, 4),
    ),
    (  # causal zeros are no inputs
      nnx.Conv(4, 6, 3, padding="CAUSAL", rngs=nnx.Rngs(0)),
      lambda **k: bx.Conv(4, 6, (3,), padding=((2, 0),), **k),
      (2, 5, 4),
    ),
  ],
  ids=["linear", "groups", "dilation", "causal"],
)
def test_layers_compute_what_those_of_this_package_do(theirs, ours, shape):
  """Values and gradients to the bit, with output scale and bias."""
  x = jax.random.normal(jax.random.key(1), shape)
  rule = {"weight": "ste|channel_l1", "act": "ste", "output": "channel"}
  ours = ours(**rule, rngs=nnx.Rngs(0))
  ours.kernel[...] = theirs.kernel[...]
  model = converted(theirs, rule, x)
  assert isinstance(theirs.kernel, LatentWeight)
  model.train()
  ours.train()

  @nnx.jit
  def results(model, x):
    def loss(model, x):
      y = model(x)
      return (y**2).sum(), y

    return nnx.grad(loss, argnums=(0, 1), has_aux=True)(model, x)

  (mine, of_x), y = results(model, x)
  (wanted, wanted_of_x), wanted_y = results(ours, x)
  np.testing.assert_array_equal(y, wanted_y)
  np.testing.assert_array_equal(of_x, wanted_of_x)
  for name in ("kernel", "bias"):
    found = getattr(mine.layer, name)[...]
    np.testing.assert_array_equal(found, wanted[name][...])


@pytest.mark.parametrize("flip", [False, True])
def test_transposed_convolutions(flip):
  x = jax.random.normal(jax.random.key(1), (2, 4, 5, 4))
  theirs = nnx.ConvTranspose(
    4, 6, (3, 2), strides=2, transpose_kernel=flip, rngs=nnx.Rngs(0)
  )
  ours = bx.ConvTranspose(
    4, 6, (3, 2), strides=2, transpose_kernel=flip, **RULE, rngs=nnx.Rngs(0)
  )
  kernel = theirs.kernel[...]
  ours.kernel[...] = jnp.swapaxes(kernel, -1, -2) if flip else kernel
  model = converted(theirs, RULE, x)
  np.testing.assert_allclose(model(x), ours(x), rtol=1e-5, atol=1e-6)
  report = bx.count(model, x)
  assert report.macs[1, 1] == bx.count(ours, x).macs[1, 1]


def test_a_kernel_of_any_layout_gets_the_scales_of_its_outputs():
  """Heads and their width are the outputs of a projection."""
  x = jax.random.normal(jax.random.key(1), (2, 3, 4))
  theirs = nnx.LinearGeneral(4, (2, 5), rngs=nnx.Rngs(0))
  ours = bx.Linear(4, 10, **RULE, rngs=nnx.Rngs(0))
  ours.kernel[...] = theirs.kernel[...].reshape(4, 10)
  model = converted(theirs, RULE, x)
  np.testing.assert_array_equal(model(x).reshape(2, 3, 10), ours(x))


def test_a_progress_and_statistics_reach_converted_layers():
  x = jax.random.normal(jax.random.key(1), (8, 4))
  act = "symmetric(bits=4)|ema_bound"
  model = converted(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), {"act": act}, x)
  act = model.layer.dot_general.act
  before = jax.tree.map(np.asarray, nnx.state(act))
  model.train()
  bx.set_progress(model, bx.Progress.at(0, 1, 1.0))
  model(x)
  after = jax.tree.map(np.asarray, nnx.state(act))
  assert jax.tree.leaves(before) != jax.tree.leaves(after)


@pytest.mark.parametrize(
  ("layer", "equation"),
  [
    (
      nnx.Einsum("ebd,edf->ebf", (3, 4, 5), rngs=nnx.Rngs(0)),
      "ebd,edf->ebf",
    ),
    (
      nnx.LinearGeneral(
        4, 5, batch_axis={0: 3}, use_bias=False, rngs=nnx.Rngs(0)
      ),
      "ebd,edf->ebf",
    ),
  ],
)
def test_kernels_of_a_batch_have_their_own_scales(layer, equation):
  """As in `binarize_fn`: an expert's scale is not that of another."""
  layer.kernel[...] *= jnp.array([1.0, 2.0, 3.0])[:, None, None]
  x, kernel = jax.random.normal(jax.random.key(1), (3, 2, 4)), layer.kernel[...]
  model = converted(layer, RULE, x)

  def sign(x):
    return jnp.where(x < 0, -1.0, 1.0)

  scale = jnp.abs(kernel).mean(1, keepdims=True)
  wanted = jnp.einsum(equation, sign(x), sign(kernel)) * scale
  np.testing.assert_allclose(model(x), wanted, rtol=1e-5)
  # Learned parameters are stacked, and schedules reach them.
  bx.unbinarize(model)
  model = converted(layer, {"weight": "ede|learned", "act": "ste"}, x)
  low_bit = next(
    v for k, v in vars(layer).items() if k in ("einsum_op", "dot_general")
  )
  (learned,) = jax.tree.leaves(nnx.state(low_bit.weight, nnx.Param))
  assert learned.shape[0] == 3
  model.train()
  bx.set_progress(model, bx.Progress.at(1, 4, 1.0))
  gradient = nnx.grad(lambda m: (m(x) ** 2).sum())(model)
  assert all(np.any(g) for g in jax.tree.leaves(gradient.layer))


@pytest.mark.parametrize(
  "layer",
  [
    (nnx.Linear, 257, 1),
    (nnx.Conv, 257, 1, 1),
    (nnx.Einsum, "bd,df->bf", (257, 1)),
  ],
  ids=["linear", "conv", "einsum"],
)
def test_a_result_may_be_wider_than_the_operands(layer):
  """257 is no number of bfloat16."""
  kind, *sizes = layer
  made = kind(
    *sizes,
    dtype=jnp.bfloat16,
    preferred_element_type=jnp.float32,
    kernel_init=nnx.initializers.ones,
    rngs=nnx.Rngs(0),
  )
  x = jnp.ones((1, 257))
  assert converted(made, {"weight": "ste", "act": "ste"}, x)(x).item() == 257
