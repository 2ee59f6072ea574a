"""EcoFormer's hash and linear attention against the authors' code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.core.progress import Progress
from bnnjax.core.spec import parse
from bnnjax.layers.binarize import Binarize
from bnnjax.layers.collect import learning
from bnnjax.layers.linear_attention import linear_attention
from bnnjax.methods import hashing
from tests import golden_cases
from tests.methods.ecoformer_cases import FILE, TOKENS, cases, ours

attend = jax.jit(linear_attention, static_argnames=("causal", "bias"))
LEARN = "bits=6, anchors=5, lr=0.5, iterations=20, top_k=2"


@cases("lin")
def test_linear_attention(case):
  y, vjp = jax.vjp(
    lambda q, k, v: attend(q, k, v),
    *(ours(case[name]) for name in "qkv"),
  )
  golden_cases.check(ours(y), case["y"], 1e-5, "y")
  for name, d in zip("qkv", vjp(ours(case["gy"]))):
    golden_cases.check(ours(d), case[f"g{name}"], 1e-5, f"g{name}")


@pytest.mark.golden
def test_every_case_is_claimed():
  assert not golden_cases.unclaimed(FILE, ".")


def layer(spec=f"ksh({LEARN}) > ste(strict=True)"):
  like = jax.ShapeDtypeStruct((1, 1, *TOKENS.shape[2:]), jnp.float32)
  return Binarize(spec, "act", like)


def learned(step):
  made = layer()
  progress = Progress.at(step, 10, 1.0)
  with learning(made, "learn_hash", progress) as mode:
    made(TOKENS, mode)
  return {name: np.asarray(stat[...]) for name, stat in made.stats.items()}


def test_codes_come_before_and_after_the_event():
  made = layer()
  assert made.events == ("learn_hash",)
  before = made(TOKENS).dequantize()
  assert before.shape == (2, 9, 3, 6)
  with learning(made, "learn_hash") as mode:
    during = made(TOKENS, mode).dequantize()
  after = made(TOKENS).dequantize()
  np.testing.assert_array_equal(during, after)
  assert np.any(before != after)
  for codes in (before, after):
    assert set(np.unique(codes)) == {-1, 1}


def test_the_event_takes_anchors_from_the_first_sample():
  stats = learned(3)
  u = np.asarray(TOKENS / np.linalg.norm(TOKENS, axis=-1, keepdims=True))
  near = np.einsum("thd,hmd->htm", u[0], stats["anchors"])
  places = near.argmax(axis=1)
  np.testing.assert_allclose(near.max(axis=1), 1, rtol=1e-5)
  assert len(set(places[0])) == 5, "no token twice"
  np.testing.assert_array_equal(places, np.tile(places[:1], (3, 1)))
  k = hashing.kernel(u, stats["anchors"], stats["mean"])
  np.testing.assert_allclose(k.mean((0, 1)), 0, atol=1e-6)


def test_the_event_is_deterministic_and_depends_on_the_step():
  first, again, later = learned(3), learned(3), learned(4)
  for name in first:
    np.testing.assert_array_equal(first[name], again[name])
  assert np.any(first["anchors"] != later["anchors"])


def test_equal_tokens_stay_finite():
  made = layer()
  same = jnp.ones((2, 9, 3, 4))
  with learning(made, "learn_hash") as mode:
    made(same, mode)

  def apply(x):
    return made(x).dequantize()

  y, vjp = jax.vjp(apply, same)
  assert np.all(np.isfinite(vjp(y)[0]))
  assert all(np.all(np.isfinite(s[...])) for s in made.stats.values())


def test_the_hash_names_what_does_not_fit():
  for spec, message in (
    ("ksh > ste", "anchors=25 .* got 9 tokens"),
    ("ksh(anchors=5) > ste", "top_k=10 .* got 9 tokens"),
  ):
    made = layer(spec)
    with (
      pytest.raises(ValueError, match=message),
      learning(made, "learn_hash") as mode,
    ):
      made(TOKENS, mode)
  with pytest.raises(ValueError, match="operand of rank 2"):
    parse("ksh > ste", "act").init(jnp.ones((3, 4)))


def test_the_preset_is_for_attention():
  method = registry.get("method", "ecoformer")
  assert parse("ecoformer", "weight") is parse("ecoformer", "act") is None
  assert layer(method.attention["query"]).events == ("learn_hash",)
  assert method.events == ((0, "learn_hash"),)
