"""Formulas of distillation: soft labels, and distances between layers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from bnnjax import deprecated
from bnnjax.core import registry

MASKED = -100.0  # in BiBERT's code, a relation at or below it counts as masked
# Distances that are means over examples: that of a batch is the mean of its parts.
MEANS = ("direction_per_example", "mse")


def soft_cross_entropy(
  logits: jax.Array, teacher_probabilities: jax.Array
) -> jax.Array:
  """`-sum_c p_c log softmax(logits)_c` per example.

  The loss of PokeBNN (2112.00133, sec. 4.1; no label term, temperature 1).
  BiBERT and BiPFT divide it by the number of classes, since their code takes
  the mean over all entries.

  Args:
    logits: of the student, `[..., classes]`.
    teacher_probabilities: `[..., classes]`, not differentiated.

  Returns:
    `[...]`.
  """
  target = jax.lax.stop_gradient(teacher_probabilities)
  return optax.softmax_cross_entropy(logits.astype(jnp.float32), target)


def relation(x: jax.Array) -> jax.Array:
  """`x x^T / sqrt(D)` of every head: how the tokens are like each other.

  BiBERT (2203.06390) matches these of queries, keys and values, taken before
  they are binarized.

  Args:
    x: `[B, T, H, D]`.

  Returns:
    `[B, H, T, T]`.
  """
  return jnp.einsum("bqhd,bkhd->bhqk", x, x) / x.shape[-1] ** 0.5


def without_masked(x: jax.Array) -> jax.Array:
  """Entries <= -100 become 0, as in BiBERT's code, of relations only.

  Its relations hold no mask (that is added to attention scores), so that this
  leaves out what is genuinely as small.
  """
  return jnp.where(x <= MASKED, 0, x)


def direction_distance(
  student: jax.Array, teacher: jax.Array, *, per_example: bool = False
) -> jax.Array:
  """`|| s / ||s|| - t / ||t|| ||`, Frobenius norms (BiBERT, 2203.06390).

  In the authors' code (`att_loss_r2b`) the norms are over the whole tensor, so
  the loss of an example depends on the others of its batch. Where a norm is 0
  its derivative is taken as 0.

  Args:
    student: `[B, ...]`.
    teacher: the same shape.
    per_example: norms of every example, and the mean of the distances.
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
  """What of a layer is compared.

  Hidden states as they are. Of queries, keys and values the `relation`,
  `without_masked` entries.

  Args:
    name: of the intermediates.
    layer: `[B, T, ...]`.
    tokens: bool `[B, T]`, False for padding, whose rows (and columns, of a
      relation) become 0. The authors compare them like the others.
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
