"""Peak of live activations by arithmetic."""

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.cost import count


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def test_activation_memory():
  def chain(x, w):
    return jnp.tanh(jnp.tanh(x @ w) @ w)

  # Weights are not activations; tanh is done in place; x @ w needs both ends.
  report = count(chain, shape(2, 8), shape(8, 8), params=1)
  assert report.activation_bytes() == 2 * 8 * 4 * 2
  wide = count(lambda x: (x[:, None] + x[None]).sum(), shape(8))
  assert wide.activation_bytes() >= 8 * 8 * 4


def test_activation_memory_of_tagged_arrays():
  def f(x, w):
    a = tag(jnp.sign(x), 1)
    return a @ w, a @ (2 * w)

  report = count(f, shape(64, 8), shape(8, 1), params=1)
  assert report.activation_bytes(deployed=True) < report.activation_bytes()


def test_activation_memory_of_a_scan_is_that_of_a_step():
  def f(x, ws):
    return lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, ws)[0]

  peaks = [
    count(f, shape(2, 8), shape(n, 8, 8), params=1).activation_bytes()
    for n in (2, 20)
  ]
  assert peaks[0] == peaks[1]
