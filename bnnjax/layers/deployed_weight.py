"""The weight of a layer as the deployed network holds it."""

import dataclasses

import jax
from flax import nnx

from bnnjax.core.progress import DEPLOYED
from bnnjax.core.quantized import Quantized, Term
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.variables import STACKED, arrays_of


def deployed_weight(layer: nnx.Module) -> Quantized:
  """The weight of a layer as the deployed network holds it.

  Its low-bit values are the ones to pack. They differ from the signs of the
  kernel if the binarizer has a transform, or rounds in another way.

  Args:
    layer: a `Linear`, `Conv` or `Embedding`; weights of a layer in a `Stack`
      are `[layers, ...]`.

  Returns:
    The terms, values and scales; a float weight is one term without a `kind`.

  Raises:
    TypeError: a module without such a weight.

  Example:
    >>> layer = Linear(2, 1, weight="center > ste", rngs=rngs)
    >>> layer.kernel[...] = jnp.array([[1.0], [2.0]])
    >>> deployed_weight(layer).terms[0].value.ravel()
    [-1.  1.]
  """
  weight = getattr(layer, "kernel", getattr(layer, "table", None))
  own = getattr(layer, "weight", None)
  if weight is None and isinstance(own, nnx.Module):
    return _yielded(own, layer)
  if not isinstance(own, Binarize) or not isinstance(weight, nnx.Variable):
    raise TypeError(
      "`deployed_weight` takes a layer with a weight, such as Linear or Conv,"
      f" got {type(layer).__name__}."
    )
  values = weight[...].astype(layer.dtype or weight.dtype)
  if own.binarizer is None:
    return Quantized((Term(values),))

  def apply(values, params, stats):
    got, _ = own.binarizer.apply(values, params, stats, DEPLOYED)
    return dataclasses.replace(got, surrogate=None)

  if weight.get_metadata(STACKED, False):
    apply = jax.vmap(apply)
  return apply(values, arrays_of(own.params), arrays_of(own.stats))


def _yielded(weight: nnx.Module, layer: nnx.Module) -> Quantized:
  """The result of a module that is the weight of a layer, deployed."""
  graph, state = nnx.split(weight)

  def call(state):
    got = nnx.merge(graph, state)(DEPLOYED)
    got = got.astype(layer.dtype or got.dtype)
    return dataclasses.replace(got, surrogate=None)

  variables = jax.tree.leaves(
    state, is_leaf=lambda v: isinstance(v, nnx.Variable)
  )
  stacked = any(v.get_metadata(STACKED, False) for v in variables)
  return jax.vmap(call)(state) if stacked else call(state)
