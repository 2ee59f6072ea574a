"""Networks for images, as the tests of `bnnjax.models` build and ask them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax import models
from bnnjax.core import dot_and_conv
from bnnjax.core.progress import Mode
from bnnjax.core.quantized import Quantized
from bnnjax.cost import count

IMAGENET, CIFAR, TINY = (224, 224, 3), (32, 32, 3), (16, 16, 3)


def build(name, shape=IMAGENET, *, rngs=None, **arguments):
  return models.build(
    {"name": name, **arguments}, rngs=rngs or nnx.Rngs(0), image_shape=shape
  )


@functools.cache
def abstract(name, shape=IMAGENET, **arguments):
  return models.abstract(
    lambda rngs: build(name, shape, rngs=rngs, **arguments)
  )


def sizes(name, *types, **arguments):
  """Numbers in the variables of some types, by default trained parameters."""
  state = nnx.state(abstract(name, **arguments), nnx.Any(*types or [nnx.Param]))
  return sum(x.size for x in jax.tree.leaves(state))


@functools.cache
def report(name, shape=IMAGENET, **arguments):
  image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  return count(abstract(name, shape, **arguments), image)


def mean_signs(monkeypatch, name, **arguments):
  """Means of operands of binary layers, `[layers, 2]`: the first two blocks.

  Of a sign behind a ReLU it would be 1.
  """
  seen = []
  real = dot_and_conv.conv

  def spy(a, w, **keywords):
    if isinstance(a, Quantized):
      seen.append(jnp.stack([jnp.mean(x.terms[0].value) for x in (a, w)]))
    return real(a, w, **keywords)

  monkeypatch.setattr(dot_and_conv, "conv", spy)

  @jax.jit
  def means(x):
    model = build(name, TINY, **arguments)
    for layer in (*model.stem, *model.blocks[:2]):
      x = layer(x, Mode.training())
    return jnp.stack(seen)

  return np.asarray(means(jax.random.uniform(jax.random.key(0), (2, *TINY))))


def check_gradients(name, **arguments):
  """A step gives finite gradients, and latent weights a signal."""

  @jax.jit
  def gradients(x):
    model = build(name, TINY, num_classes=10, **arguments)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    rest = nnx.to_pure_dict(rest)

    def loss(params):
      y = nnx.merge(graph, params, rest)(x, Mode.training())
      return -jnp.mean(jax.nn.log_softmax(y)[:, 0])

    return jax.grad(loss)(params)

  x = jax.random.normal(jax.random.key(1), (4, *TINY))
  for path, g in nnx.to_flat_state(gradients(x)):
    g = g[...]
    assert np.isfinite(g).all(), path
    if path[-1] == "kernel":
      assert np.abs(g).max() > 0, path
