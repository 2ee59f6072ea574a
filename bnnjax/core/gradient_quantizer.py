"""Gradient quantizers: low-bit numbers in the backward pass of a layer.

A quantizer takes the cotangent of a layer's output and a key, and returns a
low-bit approximation of the cotangent. The forward pass does not change.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from bnnjax.core import registry, spec


@dataclasses.dataclass(frozen=True)
class GradientQuantizer(registry.Pickled, kind="grad"):
  """A registered `(dy, key, **hp) -> dy` and its hyper-parameters' defaults."""

  name: str
  function: Callable[..., jax.Array]
  defaults: Mapping[str, Any] = dataclasses.field(hash=False)
  __doc__: str | None = dataclasses.field(default=None, hash=False)


def gradient(function: Callable[..., jax.Array]) -> GradientQuantizer:
  """Registers `function(dy, key, *, hp=default)` as a gradient quantizer."""
  made = GradientQuantizer(
    function.__name__,
    function,
    registry.defaults_of(function),
    function.__doc__,
  )
  return registry.register("grad", made.name, origin=function)(made)


@dataclasses.dataclass(frozen=True)
class QuantizeGradient:
  """The identity `y -> y`, with a quantized cotangent."""

  quantizer: GradientQuantizer
  hp: tuple[tuple[str, Any], ...] = ()

  def __post_init__(self):
    read = registry.check_hyper("grad", self.quantizer, dict(self.hp))
    object.__setattr__(self, "hp", tuple(read.items()))

  def __call__(self, y: jax.Array, key: jax.Array) -> jax.Array:
    """Returns `y`; the backward pass rounds with `key`."""
    return _identity(self, y, jax.random.key_data(key))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _identity(quantize, y, key_data):
  del quantize, key_data
  return y


def _fwd(quantize, y, key_data):
  del quantize
  return y, key_data


def _bwd(quantize, key_data, dy):
  key = jax.random.wrap_key_data(key_data)
  got = quantize.quantizer.function(dy, key, **dict(quantize.hp))
  return got.astype(dy.dtype), None


_identity.defvjp(_fwd, _bwd)


def parse(text: str | None) -> QuantizeGradient | None:
  """Reads `"name(k=v)"`; `None` stays `None`.

  Raises:
    ValueError: unknown name or bad syntax.
  """
  if text is None:
    return None
  return QuantizeGradient(*spec.part("grad", text, text))
