"""What layers of a kernel refuse: precisions, transforms, factors."""

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.core.quantized_check import fits
from bnnjax.layers.binarize import Binarize


def scaled(y, factor):
  """The output times a factor of it, which has to broadcast against it."""
  if not fits(jnp.shape(factor), y.shape):
    raise ValueError(
      f"The factor of `prepare` has to broadcast to the output {y.shape}, got"
      f" shape {jnp.shape(factor)}."
    )
  return (y * factor).astype(y.dtype)


def check_precision(precision: lax.PrecisionLike) -> None:
  """Refuses what `jax.lax.dot_general` does not take."""
  one = jax.ShapeDtypeStruct((1, 1), jnp.float32)
  try:
    jax.eval_shape(lambda a: lax.dot(a, a, precision=precision), one)
  except (TypeError, ValueError) as error:
    raise ValueError(
      "`precision` must be one of jax.lax.dot_general, e.g. None or 'highest',"
      f" got {precision!r}."
    ) from error


def check_keeps_shape(act: Binarize, like: jax.ShapeDtypeStruct) -> None:
  """A hash, e.g., gives codes of another length: it is for attention."""
  if act.binarizer is None:
    return
  shape = jax.eval_shape(act.transformed, like).shape
  if shape != like.shape:
    raise ValueError(
      f"The transform {act.binarizer.transform.name!r} makes {shape[-1]} features"
      f" of the {like.shape[-1]} that the kernel is for."
    )
