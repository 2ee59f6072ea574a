"""Penalties: terms of the loss that read the latent weights alone.

`config.optim.penalty = "sine(tau=0.037)"` adds a registered function of the
latent weights of a layer, summed over the layers, to the loss. It is added as a
gradient, before the gradient is clipped; the loss that is logged lacks it. To
add a penalty, register `f(w, *, hp=default) -> scalar` as kind "penalty".
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from bnnjax.core import hyper, registry, spec
from bnnjax.core.schedule import Annealed


def parse(text: str) -> Callable[[jax.Array], jax.Array]:
  """The function of the latent weights of one layer that a spec names.

  Raises:
    ValueError: unknown name or hyper-parameter, bad syntax, or a schedule.
  """
  function, pairs = spec.part("penalty", text, text)
  name = spec.name_of(text)
  known = hyper.as_defaults(registry.accepts("penalty", name))
  given = registry.check_values(f"penalty {name!r}", known, dict(pairs))
  for key, value in given.items():
    if isinstance(value, Annealed):
      raise ValueError(
        f"`{key}` of penalty {name!r} is constant in a stage, got the schedule"
        f" {value}: give `config.stages` entries with an `optim.penalty` each."
      )
  return functools.partial(function, **given)


def add_penalty(
  text: str, kinds: Any, stacked: Any = None
) -> optax.GradientTransformation:
  """Adds the gradient of a penalty to that of the latent weights.

  Args:
    text: its spec.
    kinds: tree of labels, shaped like the parameters.
    stacked: tree of bools: whether the first axis of a parameter counts layers,
      each with a penalty of its own; `None`: of none.
  """
  of_layer = parse(text)
  if stacked is None:
    stacked = jax.tree.map(lambda _: False, kinds)

  def slope(w, several):
    if several:
      return jax.grad(lambda w: jnp.sum(jax.vmap(of_layer)(w)))(w)
    return jax.grad(of_layer)(w)

  def update(updates, state, params):
    if params is None:
      raise ValueError("`add_penalty` needs the parameters.")
    added = jax.tree.map(
      lambda g, p, kind, several: (
        g + slope(p, several).astype(g.dtype) if kind == "latent" else g
      ),
      updates,
      params,
      kinds,
      stacked,
    )
    return added, state

  return optax.GradientTransformation(lambda _: optax.EmptyState(), update)
