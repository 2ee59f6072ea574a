"""EcoFormer: queries and keys hashed to signs, for linear attention.

EcoFormer: Energy-Saving Attention with Linear Complexity, Liu et al., NeurIPS
2022, arXiv:2209.09004. Queries and keys share a projection and a code of `bits`
signs; weights and values stay float. The hash is not trained by gradients: a
loop event learns it from a batch (`hashing.py`), in the paper once, at the
start of 30 epochs that follow training with standard attention.
`bnnjax.layers.linear_attention` has the attention over codes. The authors' code
hashes 0 to 0, ours to +1.
"""

import jax
import jax.numpy as jnp

from bnnjax.core.hyper import POSITIVE, Real, Whole
from bnnjax.core.method import method
from bnnjax.core.transform import transform
from bnnjax.methods import hashing


def learn_hash(x, params, stats, mode, **hp):
  """The loop event: statistics of `ksh` from a batch.

  Anchors are tokens of the first sample at random places, the same for all
  heads; the hyperplanes start from the present ones (`hashing.learn`).

  Args:
    x: queries or keys `[B, T, H, D]`; padding counts as tokens.
    params, stats: variables of `ksh`.
    mode: its progress, if any, seeds the random places.
    **hp: hyper-parameters of `ksh`.

  Returns:
    The parameters and new statistics.

  Raises:
    ValueError: a sample has fewer tokens than `anchors` or `top_k`.
  """
  hp = {**ksh.defaults, **hp}
  tokens, anchors, top_k = x.shape[1], hp["anchors"], hp["top_k"]
  if tokens < max(anchors, top_k):
    raise ValueError(
      f"The hash takes anchors={anchors} and top_k={top_k} from the tokens of a"
      f" sample: got {tokens} tokens. Give longer sequences, or smaller numbers"
      " in `ksh(anchors=..., top_k=...)`."
    )
  key = mode.fold_in(jax.random.key(0))
  u = hashing.unit(jax.lax.stop_gradient(x))
  chosen = jax.random.permutation(key, tokens)[:anchors]
  points = jnp.moveaxis(u[0, chosen], 0, 1)
  k = hashing.kernel(u, points)
  mean = jnp.mean(k, axis=(0, 1))
  descent = {name: hp[name] for name in ("lr", "momentum", "iterations")}
  near = hashing.similarity(u, top_k)
  planes = hashing.learn(k - mean, near, stats["hash"], **descent)
  return params, {**stats, "hash": planes, "anchors": points, "mean": mean}


def _init(x, **hp):
  hp = {**ksh.defaults, **hp}
  if len(x.shape) != 4:
    raise ValueError(
      "`ksh` hashes the queries and keys of attention, [B, T, heads, D]: got an"
      f" operand of rank {len(x.shape)}."
    )
  (heads, features), anchors = x.shape[-2:], hp["anchors"]
  planes, places = jax.random.split(jax.random.key(0))
  points = jax.random.normal(places, (heads, anchors, features))
  return {}, {
    "hash": jax.random.normal(planes, (heads, hp["bits"], anchors)),
    "anchors": hashing.unit(points),
    "mean": jnp.zeros((heads, anchors)),
  }


@transform(init=_init, data_events={"learn_hash": learn_hash}, roles=("act",))
def ksh(
  x,
  params,
  stats,
  mode,
  *,
  bits: Whole(1, 4096) = 16,
  anchors: Whole(1) = 25,
  lr: POSITIVE = 5e-4,
  momentum: Real(0, 1) = 0.9,
  iterations: Whole(0) = 100,
  top_k: Whole(1) = 10,
):
  """Projections whose signs are the hash (supervised hashing with kernels).

  `y = K A^T` with `K = exp(-||u - anchor||^2 / (2 sigma)) - mean` and
  `u = x / ||x||_2`; `sigma` is the mean squared distance of a sample and head.
  The hyperplanes `A`, anchors and mean are statistics, random until the event
  `learn_hash` sets them; distances and `sigma` are differentiated.

  Args:
    x: queries or keys `[B, T, H, D]`.
    bits: signs of a code.
    anchors: number of tokens that span the kernel.
    lr, momentum, iterations: descent of a bit, see `hashing.learn`. With the
      authors' `lr` hardly any bit changes on small data.
    top_k: number of similar and of dissimilar tokens, see
      `hashing.similarity`.

  Returns:
    `[B, T, H, bits]`.

  Raises:
    ValueError: an operand that is not of rank 4.
  """
  del params, mode, bits, anchors, lr, momentum, iterations, top_k
  parts = stats["hash"], stats["anchors"], stats["mean"]
  return hashing.project(hashing.unit(x), *parts), stats


method(
  "ecoformer",
  paper="EcoFormer, Liu et al., NeurIPS 2022",
  arxiv="2209.09004",
  family="transformer",
  attention={
    "query": "ksh > ste(strict=True)",
    "mixer": "linear",
    "share_key": True,
  },
  events=((0, "learn_hash"),),
)
