"""Supervised hashing with kernels against EcoFormer's code."""

import jax
import jax.numpy as jnp
import numpy as np

from bnnjax.core.spec import parse
from bnnjax.methods import hashing
from tests import golden_cases
from tests.methods.ecoformer_cases import KEYS, TOKENS, cases, ours


@cases("ksh")
def test_learning(case):
  bits, m, top_k, iterations = map(int, case["hp"])
  u, anchors = ours(case["X"]), jnp.asarray(case["anchor"][0])
  assert case["A0"].shape[1:] == (bits, m)
  s = hashing.similarity(u, top_k)
  golden_cases.check(s, case["S"], 0, "S")
  k = hashing.kernel(u, anchors)
  mean = jnp.mean(k, axis=(0, 1))
  golden_cases.check(mean, case["mvec"][0, :, 0], 1e-5, "mvec")
  descent = {
    "lr": float(case["lr"]),
    "momentum": float(case["momentum"]),
    "iterations": iterations,
  }
  got = hashing.learn(k - mean, s, jnp.asarray(case["A0"]), **descent)
  golden_cases.check(got, case["A"], 1e-3, "A")


@cases("hash")
def test_codes(case):
  """The hash alone: what enters is not normalized in this recording."""
  parts = case["A"], case["anchor"][0], case["mvec"][0, :, 0]
  sign = parse("ste(strict=True, at_zero=0)", "act")
  codes, vjp = jax.vjp(
    jax.jit(lambda x: sign(hashing.project(x, *parts))), ours(case["x"])
  )
  golden_cases.check(ours(codes), case["y"], 0, "y")
  (dx,) = vjp(ours(case["gy"]))
  golden_cases.check(ours(dx), case["gx"], 1e-5, "gx")


def test_learning_never_loses_agreement():
  u = hashing.unit(TOKENS)
  k = hashing.kernel(u, jnp.moveaxis(u[0, :5], 0, 1))
  k -= jnp.mean(k, axis=(0, 1))
  s = hashing.similarity(u, 2)
  start = jax.random.normal(KEYS[3], (3, 6, 5))
  descent = {"lr": 0.5, "momentum": 0.9, "iterations": 20}
  end = jax.jit(hashing.learn, static_argnames="iterations")(
    k, s, start, **descent
  )
  k, rest, start, end = map(np.asarray, (k, 6 * s, start, end))

  def signs(a):
    return np.where(np.einsum("bthm,hm->bth", k, a) > 0, 1, -1)

  def agreement(y):
    return np.einsum("bth,bhtu,buh->", y, rest, y)

  moved = 0
  for bit in range(6):
    old, y = signs(start[:, bit]), signs(end[:, bit])
    if np.any(start[:, bit] != end[:, bit]):
      moved += 1
      assert agreement(y) > agreement(old)
    rest = rest - np.einsum("bth,buh->bhtu", y, y)
  assert moved > 0


def test_similarity_by_hand():
  angles = np.radians([0, 10, 80, 170])
  u = np.stack([np.cos(angles), np.sin(angles)], -1)[None, :, None]
  near, far = (
    hashing.similarity(jnp.asarray(u, jnp.float32), top_k)[0, 0]
    for top_k in (2, 3)
  )
  want = [[1, 1, -1, -1], [1, 1, -1, -1], [-1, 1, 1, -1], [-1, -1, 1, 1]]
  np.testing.assert_array_equal(near, want)
  # Three of four are near and three far: -1 wins.
  np.testing.assert_array_equal(far, 2 * np.eye(4) - 1)
