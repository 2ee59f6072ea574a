"""Transforms of the latent tensor before it is binarized.

A transform is a plain differentiable function of the tensor; `channel` means
the last axis (output channels of a kernel, features of an activation).
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bnnjax.core import registry


@dataclasses.dataclass(frozen=True)
class Transform:
  """A registered transform and its hyper-parameters' defaults."""

  name: str
  function: Callable[..., jax.Array]
  defaults: Mapping[str, Any] = dataclasses.field(hash=False)
  __doc__: str | None = dataclasses.field(default=None, hash=False)

  def __call__(self, x: jax.Array, **hp: Any) -> jax.Array:
    return self.function(x, **hp)


def transform(function: Callable[..., jax.Array]) -> Transform:
  """Registers `function(x, *, hp=default)` as a transform."""
  made = Transform(
    function.__name__,
    function,
    {
      p.name: p.default
      for p in inspect.signature(function).parameters.values()
      if p.kind is p.KEYWORD_ONLY
    },
    function.__doc__,
  )
  return registry.register("transform", made.name)(made)


@transform
def center(x: jax.Array) -> jax.Array:
  """Subtracts the mean of each output channel; zero-mean signs hold most bits."""
  return x - jnp.mean(x, axis=tuple(range(x.ndim - 1)), keepdims=True)
