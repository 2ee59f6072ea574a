"""What `Attention` refuses: heads and parts that do not go together."""

from typing import Any

from bnnjax.core.estimator import SIGN


def heads_fit(features: int, heads: int, kv_heads: int) -> None:
  """Refuses heads that do not divide the features, or each other."""
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


def parts_fit(layer: Any, key: Any, residual: int) -> None:
  """Refuses parts of a new `Attention` that do not go together.

  Args:
    layer: its parts.
    key, residual: as it was given them.
  """
  mixer, shared = layer.mixer, layer.key is None
  query, probs = layer.low_query.binarizer, layer.low_probs.binarizer
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
  if mixer != "linear":
    return
  drops, grouped = layer.dropout.rate, layer.kv_heads != layer.heads
  if probs is not None or residual or grouped or drops:
    raise ValueError(
      "The mixer 'linear' makes no map of probabilities and shares no heads:"
      " leave out `probs`, `residual`, `kv_heads` and `dropout`, got"
      f" {probs}, {residual}, {layer.kv_heads} and {drops}."
    )
  for made in (query, query if shared else layer.low_key.binarizer):
    if made is None or made.estimator.alphabet != SIGN or made.scale:
      raise ValueError(
        "The mixer 'linear' weighs codes in {-1, +1}: give binarizers `query`"
        " and `key` (or `share_key=True`) of that alphabet, without a scale."
      )
