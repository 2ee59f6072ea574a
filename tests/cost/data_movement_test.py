"""Tags through primitives that move, join and pad."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from bnnjax.core.bits import tag
from bnnjax.cost import count

X = jax.ShapeDtypeStruct((4, 6), jnp.float32)
W = jax.ShapeDtypeStruct((6, 8), jnp.float32)

KEEPS = {
  "transpose": lambda x: x.T.T,
  "reshape": lambda x: x.reshape(2, 2, 6).reshape(4, 6),
  "broadcast": lambda x: jnp.broadcast_to(x[None], (3, 4, 6))[1],
  "slice": lambda x: x[1:3],
  "flip": lambda x: x[::-1],
  "take": lambda x: jnp.take(x, jnp.array([0, 2, 1]), axis=0),
  "concatenate": lambda x: jnp.concatenate([x, x]),
  "stack": lambda x: jnp.stack([x, x])[0],
  "split": lambda x: jnp.split(x, 2)[1],
  "select": lambda x: jnp.where(x > 0, x, -x),
  "bfloat16": lambda x: x.astype(jnp.bfloat16).astype(jnp.float32),
  "stop_gradient": lax.stop_gradient,
  "dynamic_slice": lambda x: lax.dynamic_slice(x, (1, 0), (2, 6)),
  "max_pool": lambda x: lax.reduce_window(
    x, -jnp.inf, lax.max, (2, 1), (2, 1), "VALID"
  ),
  "max": lambda x: jnp.max(x.reshape(2, 2, 6), axis=0),
  "unstack": lambda x: jnp.unstack(x.reshape(2, 2, 6))[1],
  "tile": lambda x: jnp.tile(x, (2, 1)),
  "checkpoint_name": lambda x: checkpoint_name(x, "q"),
  "copy": jnp.copy,
  "barrier": lambda x: lax.optimization_barrier((x, x))[0],
}


@pytest.mark.parametrize("name", KEEPS)
def test_keeps_the_tag(name):
  report = count(lambda x, w: KEEPS[name](tag(x, 1)) @ w, X, W)
  assert set(report.macs) == {(32, 1)}, name
  assert not report.warnings


def _padded(x, alphabet=None, bits=1, value=0.0):
  return jnp.pad(tag(x, bits, alphabet=alphabet), 1, constant_values=value)


def test_zero_padding_of_signs_is_ternary():
  w = jax.ShapeDtypeStruct((8, 8), jnp.float32)
  report = count(lambda x, w: _padded(x) @ w, X, w)
  assert set(report.macs) == {(32, 1)}
  assert "zero padding" in report.warnings[0]
  assert "ternary" in report.warnings[0]


@pytest.mark.parametrize(
  "pad",
  [
    lambda x: _padded(x, alphabet=(0, 1)),
    lambda x: _padded(x, bits=2),
    lambda x: _padded(x, value=1.0),
    lambda x: jnp.pad(0.5 * (tag(x, 1) + 1), 1),
  ],
)
def test_padding_with_a_symbol_is_silent(pad):
  w = jax.ShapeDtypeStruct((8, 8), jnp.float32)
  report = count(lambda x, w: pad(x) @ w, X, w)
  assert not report.warnings
  assert all(a < 32 for _, a in report.macs)
