"""Formulas of distillation: soft labels, and distances between layers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from bnnjax import deprecated
from bnnjax.core import registry

MASKED = -100.0  # BiBERT's code treats a relation at or below it as masked
# Distances that are means over examples, so that parts of a batch can be
# averaged.
MEANS = ("direction_per_example", "mse")


def soft_cross_entropy(
  logits: jax.Array, teacher_probabilities: jax.Array
) -> jax.Array:
  """`-sum_c p_c log softmax(logits)_c` per example.

  The loss of PokeBNN (2112.00133, sec. 4.1; no label term, temperature 1).
  BiBERT and BiPFT divide it by the number of classes, since their code averages
  over all entries.

  Args:
    logits: of the student, `[..., classes]`.
    teacher_probabilities: `[..., classes]`, not differentiated.

  Returns:
    `[...]`.
  """
  target = jax.lax.stop_gradient(teacher_probabilities)
  return optax.softmax_cross_entropy(logits.astype(jnp.float32), target)


def relation(x: jax.Array) -> jax.Array:
  """`x x^T / sqrt(D)` of every head: similarities between tokens.

  BiBERT (2203.06390) matches those of queries, keys and values before they are
  binarized.

  Args:
    x: `[B, T, H, D]`.

  Returns:
    `[B, H, T, T]`.
  """
  return jnp.einsum("bqhd,bkhd->bhqk", x, x) / x.shape[-1] ** 0.5


def without_masked(x: jax.Array) -> jax.Array:
  """Sets entries <= -100 of relations to 0, as BiBERT's code does.

  Masks are added to attention scores, not to relations, so that this drops
  entries that are really as small.
  """
  return jnp.where(x <= MASKED, 0, x)


def direction_distance(
  student: jax.Array, teacher: jax.Array, *, per_example: bool = False
) -> jax.Array:
  """`|| s / ||s|| - t / ||t|| ||`, Frobenius norms (BiBERT, 2203.06390).

  In the authors' code (`att_loss_r2b`) the norms are over the whole tensor, so
  the loss of an example depends on the other examples of its batch. The
  derivative of a norm at 0 is taken as 0.

  Args:
    student: `[B, ...]`.
    teacher: the same shape.
    per_example: take norms per example, then the mean of the distances.
  """
  s, t = (_unit(x, per_example) for x in (student, teacher))
  return jnp.mean(optax.safe_norm(s - t, 0.0, axis=-1))


def _unit(x: jax.Array, per_example: bool) -> jax.Array:
  """Rows of length 1, `[B, entries]` or `[1, entries]`; zeros stay zeros."""
  x = x.astype(jnp.float32).reshape(x.shape[0] if per_example else 1, -1)
  norm = optax.safe_norm(x, 0.0, axis=-1, keepdims=True)
  return x / jnp.where(norm > 0, norm, 1)


@registry.register("distance", "direction")
def direction(student: Sequence[jax.Array], teacher: Sequence[jax.Array]):
  """Sum over the layers of `direction_distance` (BiBERT)."""
  return sum(map(direction_distance, student, teacher))


@registry.register("distance", "direction_per_example")
def direction_per_example(
  student: Sequence[jax.Array], teacher: Sequence[jax.Array]
):
  """Sum over the layers of the mean of every example's `direction_distance`."""
  pairs = zip(student, teacher)
  return sum(direction_distance(s, t, per_example=True) for s, t in pairs)


@registry.register("distance", "mse")
def mse(student: Sequence[jax.Array], teacher: Sequence[jax.Array]):
  """Mean over the layers of `mean (s - t)^2` (BiPFT's L_rep, 2312.08937)."""
  layers = [jnp.mean(jnp.square(s - t)) for s, t in zip(student, teacher)]
  return sum(layers) / len(layers)


def features(
  name: str, layer: jax.Array, tokens: jax.Array | None = None
) -> jax.Array:
  """The features of a layer that a distance compares.

  These are hidden states themselves, and for queries, keys and values their
  `relation` `without_masked` entries.

  Args:
    name: of the intermediates.
    layer: `[B, T, ...]`.
    tokens: bool `[B, T]`, False for padding. Its rows (and columns, in a
      relation) become 0; the authors compare them like the others.
  """
  x = layer.astype(jnp.float32)
  if tokens is not None:
    x = jnp.where(tokens.reshape(*tokens.shape, *(1,) * (x.ndim - 2)), x, 0)
  if name == "hidden_states":
    return x
  return without_masked(relation(x))


__getattr__ = deprecated.old_names(
  __name__, {"MATCHED": "bnnjax.layers.intermediates.MATCHED"}
)
