"""Dropout: masks, modes, models; the run is the same again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax import models
from bnnjax.core.progress import DEPLOYED, Mode, Progress
from bnnjax.layers.attention import Attention
from bnnjax.layers.dropout import Dropout
from bnnjax.layers.stack import Stack
from bnnjax.layers.variables import TrainingRng

ONES = jnp.ones((4, 500))


def at(step):
  return Mode.training(Progress.at(step, 10, 1.0))


def test_a_share_is_dropped_and_the_rest_scaled(rngs):
  layer = Dropout(0.2, rngs=rngs)
  y = np.asarray(layer(ONES, at(3)))
  assert set(np.unique(y)) == {0.0, np.float32(1.25)}
  assert abs((y == 0).mean() - 0.2) < 0.03  # 3.4 standard deviations
  gradient = jax.grad(lambda x: layer(x, at(3)).sum())(ONES)
  np.testing.assert_array_equal(gradient, y)
  assert layer(ONES.astype(jnp.bfloat16), at(3)).dtype == jnp.bfloat16


def test_the_mask_is_that_of_layer_step_and_microbatch(rngs):
  one, other = Dropout(0.5, rngs=rngs), Dropout(0.5, rngs=rngs)
  parts = [
    bx.Mode(Progress.at(3, 10, 1.0), train=True, deployed=False, part=part)
    for part in (jnp.int32(0), jnp.int32(1))
  ]
  masks = [
    np.asarray(f(ONES, mode))
    for f, mode in ((one, at(3)), (one, at(4)), (other, at(3)))
  ] + [np.asarray(one(ONES, mode)) for mode in parts]
  for i, mask in enumerate(masks):
    shares = [(mask == m).mean() for m in masks[:i]]
    assert all(abs(share - 0.5) < 0.06 for share in shares), i
  np.testing.assert_array_equal(one(ONES, at(3)), masks[0])


def test_only_training_drops(rngs):
  layer = Dropout(0.5, rngs=rngs)
  for mode in (None, DEPLOYED):
    assert layer(ONES, mode) is ONES
  layer.train()
  with pytest.warns(UserWarning, match="dropout follows the progress"):
    assert (layer(ONES) == 0).any()
  bx.set_progress(layer, Progress.at(3, 10, 1.0))
  np.testing.assert_array_equal(layer(ONES), layer(ONES, at(3)))
  layer.eval()
  with pytest.warns(UserWarning, match="gradient was taken through dropout"):
    jax.grad(lambda x: layer(x).sum())(ONES)


def test_without_it_nothing_is_drawn_or_stored(rngs):
  layer = Dropout(0.0, rngs=rngs)
  assert not jax.tree.leaves(nnx.state(layer))
  assert rngs.default.count[...] == 0
  assert layer(ONES, at(3)) is ONES


class Layer(nnx.Module):
  def __init__(self, rngs):
    self.scale = nnx.Param(jnp.ones(500))
    self.dropout = Dropout(0.5, rngs=rngs)

  def __call__(self, x, mode, *, cache=None):
    del cache
    return x + self.dropout(self.scale[...] * jnp.ones_like(x), mode)


def test_layers_of_a_stack_have_their_own_masks(rngs):
  """The backward pass, computing them again, has those of the forward pass."""
  stack = Stack(Layer, 2, remat="block", rngs=rngs)

  def total(stack):
    y = stack(0 * ONES, at(3))
    return y.sum(), y

  grads, y = nnx.grad(total, has_aux=True)(stack)
  shares = [(np.asarray(y) == value).mean() for value in (0, 2, 4)]
  np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.05)
  masks = grads["layer"]["scale"][...]
  np.testing.assert_allclose(masks.sum(0), y.sum(0), rtol=1e-6)
  assert (masks[0] != masks[1]).any()


TOKENS = jax.ShapeDtypeStruct((2, 4), jnp.int32)
IMAGES = jax.ShapeDtypeStruct((2, 4, 4, 1), jnp.float32)
SIZES = {"features": 8, "heads": 2, "blocks": 1}
MODELS = {
  "vit": ({"num_classes": 3, "image_shape": (4, 4, 1), "patch": 2}, 3, IMAGES),
  "bert": ({"num_classes": 3, "vocab": 9, "max_len": 4}, 5, TOKENS),
  "decoder": ({"vocab": 9, "max_len": 4, "hidden": 8}, 4, TOKENS),
}


def program(model, mode, x):
  """What a model computes of its parameters and `x`."""
  graph, params, rest = nnx.split(model, nnx.Param, ...)
  zeros = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), rest)

  def forward(params, x):
    return nnx.merge(graph, params, zeros)(x, mode)

  return str(jax.make_jaxpr(forward)(params, x))


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
  """Deployed it is the program without dropout; in training each layer draws."""
  options, layers, x = MODELS[name]
  config = {"name": name, **SIZES, **options}
  without, model = (
    models.abstract(lambda rngs, c=c: models.build(c, rngs=rngs))
    for c in (config, {**config, "dropout": 0.3})
  )
  assert not nnx.state(without, TrainingRng)
  assert len(jax.tree.leaves(nnx.state(model, TrainingRng))) == layers
  assert program(model, DEPLOYED, x) == program(without, DEPLOYED, x)
  if name == "decoder":  # what is counted was told nothing
    report, want = (bx.count(m, x).to_json() for m in (model, without))
    assert report == want
  assert program(model, at(3), x).count("random_fold_in") == layers


def test_errors(rngs):
  for rate in (1.0, -0.1, "x", True, float("nan")):
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\)"):
      Dropout(rate, rngs=rngs)
  with pytest.raises(ValueError, match="leave out .* and `dropout`"):
    Attention(
      4, 2, mixer="linear", query="ste", key="ste", dropout=0.1, rngs=rngs
    )
  config = {"name": "bert", **SIZES, **MODELS["bert"][0], "dropout": 0.1}
  config["attention"] = "ecoformer"
  made = models.abstract(lambda rngs: models.build(config, rngs=rngs))
  assert made.blocks[0].attention.dropout.rate == 0
