"""Checks of what layers are given: sizes, precisions, transforms, heads."""

import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bnnjax.core.estimator import SIGN
from bnnjax.core.hyper import shown
from bnnjax.core.number_checks import INT32
from bnnjax.layers.binarize import Binarize

LARGEST = 2**40  # elements of an array


def whole(name: str, value: Any, least: int | None = 1) -> int:
  """Converts an integer of any type (`np.int64`) to an int.

  Args:
    name: of the argument, for the message.
    value: what was given.
    least: the smallest value allowed; `None` for any.

  Raises:
    TypeError: a float, a bool or no number.
    ValueError: it is smaller, or beyond int32.
  """
  try:
    if isinstance(value, (bool, np.bool_)):
      raise TypeError
    number = operator.index(value)
  except TypeError:
    wanted = "an int" if least is None else f"an int >= {least}"
    raise TypeError(f"`{name}` must be {wanted}, got {value!r}.") from None
  if least is not None and number < least:
    raise ValueError(f"`{name}` must be at least {least}, got {number}.")
  if abs(number) > INT32:
    raise ValueError(f"`{name}` must be at most {INT32}, got {shown(number)}.")
  return number


def exact(product: int, *factors: int) -> int:
  """`product` divided by the factors.

  Raises:
    ValueError: they do not divide it.
  """
  divisor = math.prod(factors)
  if divisor < 1 or product < 1 or product % divisor:
    raise ValueError(f"{product} is no multiple of {divisor}")
  return product // divisor


def check_sizes(**sizes: int) -> None:
  """Raises if a size is below 1.

  Raises:
    TypeError, ValueError: names the first.
  """
  for name, size in sizes.items():
    whole(name, size)


def check_array(what: str, shape: tuple[int, ...]) -> None:
  """Raises if no machine could hold an array: XLA would end the process.

  Raises:
    ValueError: names `what`.
  """
  if math.prod(shape) > LARGEST:
    raise ValueError(
      f"{what} would have the shape {tuple(shape)}: at most 2^40 elements (4 TB"
      " of float32) can be meant."
    )


def check_precision(precision: lax.PrecisionLike) -> None:
  """Raises unless `jax.lax.dot_general` accepts the precision."""
  one = jax.ShapeDtypeStruct((1, 1), jnp.float32)
  try:
    jax.eval_shape(lambda a: lax.dot(a, a, precision=precision), one)
  except (TypeError, ValueError) as error:
    raise ValueError(
      "`precision` must be one of jax.lax.dot_general, e.g. None or 'highest',"
      f" got {precision!r}."
    ) from error


def check_keeps_shape(act: Binarize, like: jax.ShapeDtypeStruct) -> None:
  """Raises if the binarizer's transform changes the number of features.

  A hash, for example, makes codes of another length: it is for attention.
  """
  if act.binarizer is None:
    return
  shape = jax.eval_shape(act.transformed, like).shape
  if shape != like.shape:
    raise ValueError(
      f"The transform {act.binarizer.transform.name!r} makes {shape[-1]} features"
      f" of the {like.shape[-1]} that the kernel is for."
    )


def check_heads(features: int, heads: int, kv_heads: int) -> None:
  """Raises unless the heads divide the features, and `kv_heads` the heads."""
  if heads < 1 or features % heads:
    raise ValueError(
      f"`heads` must divide the features: got {features} features in"
      f" {heads} heads."
    )
  if kv_heads < 1 or heads % kv_heads:
    raise ValueError(
      f"`kv_heads` must divide the heads: got {heads} heads and {kv_heads} of"
      " keys and values."
    )


def check_attention(layer: Any, key: Any, residual: int) -> None:
  """Raises if parts of a new `Attention` contradict each other.

  Args:
    layer: the attention layer.
    key, residual: its arguments of these names.
  """
  mixer, shared = layer.mixer, layer.key is None
  probs = layer.low_probs.binarizer
  if residual < 0:
    raise ValueError(f"`residual` is a rank, at least 0, got {residual}.")
  if shared and (mixer != "linear" or key not in (None, "float")):
    raise ValueError(
      "`share_key` is for the mixer 'linear', and one code serves both: leave"
      f" out `key`, got mixer={mixer!r} and key={key!r}."
    )
  if mixer == "none" and probs is None:
    raise ValueError(
      "The mixer 'none' needs a binarizer `probs`, e.g. 'ste_heaviside': without"
      " one, nothing bounds the scores."
    )
  if mixer == "linear":
    _check_linear_mixer(layer, residual)


def _check_linear_mixer(layer: Any, residual: int) -> None:
  probs, drops = layer.low_probs.binarizer, layer.dropout.rate
  grouped = layer.kv_heads != layer.heads
  if probs is not None or residual or grouped or drops:
    raise ValueError(
      "The mixer 'linear' makes no map of probabilities and shares no heads:"
      " leave out `probs`, `residual`, `kv_heads` and `dropout`, got"
      f" {probs}, {residual}, {layer.kv_heads} and {drops}."
    )
  query = layer.low_query.binarizer
  key = query if layer.key is None else layer.low_key.binarizer
  for made in (query, key):
    if made is None or made.estimator.alphabet != SIGN or made.scale:
      raise ValueError(
        "The mixer 'linear' weighs codes in {-1, +1}: give binarizers `query`"
        " and `key` (or `share_key=True`) of that alphabet, without a scale."
      )
