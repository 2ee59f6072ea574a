"""Attention over sign codes in linear time (EcoFormer)."""

import jax
import jax.numpy as jnp

from bnnjax.core import registry

BIAS = ("own", "all")


def linear_attention(
  q: jax.Array,
  k: jax.Array,
  v: jax.Array,
  *,
  mask: jax.Array | None = None,
  causal: bool = False,
  bias: str = "own",
) -> jax.Array:
  """Attention whose weights are `q_i . k_j + beta`, `beta = bits + 1`.

  With codes in {-1, +1} a weight is a Hamming similarity, at least 1
  (EcoFormer, 2209.09004). Summed over the `n_i` keys j that query i attends to:

      y_i = (q_i . sum_j k_j v_j^T + beta v_i) / (q_i . sum_j k_j + n_i beta)

  This follows the authors' code, where the bias only weighs the value of the
  token itself. The weights above would give `beta sum_j v_j` there
  (`bias="all"`), and would sum to 1. Gradients are those of the formula. Time
  is `O(T bits D)`, and so is memory if `causal` (prefix sums).

  Args:
    q, k: codes `[B, T, H, bits]`, tagged with their width by a binarizer.
    v: values `[B, T, H, D]`.
    mask: bool `[B, T]`, the visible keys.
    causal: whether a query attends only to itself and earlier tokens.
    bias: the values that the bias weighs, `"own"` or `"all"`.

  Returns:
    `[B, T, H, D]`, dtype of `v`, accumulated in float32. The result of a query
    without visible keys is 0.

  Raises:
    ValueError: incompatible shapes, or an unknown `bias`.
  """
  _check(q, k, v, mask, bias)
  beta, place = q.shape[-1] + 1, "t" if causal else ""
  seen = jnp.ones(q.shape[:2]) if mask is None else mask.astype(jnp.float32)
  seen = seen[:, :, None, None]
  # Values are masked, not codes: a masked code would no longer be one bit in
  # the contraction. The sum of the codes is not a contraction.
  v = jnp.where(seen > 0, v, 0)
  pairs = jnp.einsum(
    f"bthc,bthd->b{place}hcd", k, v, preferred_element_type=jnp.float32
  )
  values = v.astype(jnp.float32)
  keys = jnp.where(seen > 0, k, 0).astype(jnp.float32)
  if causal:
    total = lambda x: jnp.cumsum(x, axis=1)  # noqa: E731
    pairs, keys = total(pairs), total(keys)
  else:
    total = lambda x: jnp.sum(x, axis=1, keepdims=True)  # noqa: E731
    keys = jnp.sum(keys, axis=1)
  top = jnp.einsum(f"bthc,b{place}hcd->bthd", q, pairs)
  top = top + beta * (values if bias == "own" else total(values))
  # The sums are integers, which bfloat16 and TF32 only hold up to 256 and 2048.
  exact = jax.lax.Precision.HIGHEST
  bottom = jnp.einsum(f"bthc,b{place}hc->bth", q, keys, precision=exact)
  bottom = bottom[..., None] + beta * total(seen)
  return (top / jnp.where(bottom > 0, bottom, 1)).astype(v.dtype)


def _check(q, k, v, mask, bias):
  """Raises the errors of `linear_attention`."""
  if q.shape != k.shape or v.shape[:3] != q.shape[:3]:
    raise ValueError(
      "Linear attention takes codes [B, T, H, bits] and values [B, T, H, D]:"
      f" got q {q.shape}, k {k.shape}, v {v.shape}."
    )
  if mask is not None and mask.shape != q.shape[:2]:
    raise ValueError(
      f"`mask` has a bool for each key, [B, T] = {q.shape[:2]}: got"
      f" {mask.shape}."
    )
  if bias not in BIAS:
    raise registry.unknown("`bias` of linear attention", bias, BIAS)
