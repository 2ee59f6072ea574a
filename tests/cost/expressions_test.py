"""Which static values are equal, and what small constants hold."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.cost import count, expressions
from bnnjax.cost.abstract_value import constant, plain
from bnnjax.cost.interpret import Interpreter


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def test_two_bases_of_a_kernel_are_two_bits_and_sharing_is_not():
  def bases(w, x):
    first = jnp.sign(w)
    second = jnp.sign(w - 0.5 * first)
    return x @ tag(first, 1) + x @ tag(second, 1)

  def shared(w, x):
    return x @ tag(jnp.sign(w), 1) + (x + 1) @ tag(jnp.sign(w), 1)

  args = shape(8, 4), shape(2, 8)
  assert count(bases, *args, params=0).weight_bits() == 2 * 32
  assert count(shared, *args, params=0).weight_bits() == 32
  fused = lambda w, x: [x @ tag(jnp.sign(p), 1) for p in jnp.split(w, 2, 1)]  # noqa: E731
  assert count(fused, *args, params=0).weight_bits() == 32


K, N = 320, 64


def test_a_kernel_that_is_read_transposed_is_stored_once():
  def autoencoder(w, x):
    sign = lambda w: jnp.where(w >= 0, 1.0, -1.0)  # noqa: E731
    return x @ tag(sign(w), 1) @ tag(sign(w.T), 1)

  report = count(autoencoder, shape(K, N), shape(2, K), params=0)
  assert report.weight_bits() == K * N
  two = lambda w, x: x @ tag(jnp.sign(w - 1), 1) + x @ tag(jnp.sign(w + 1), 1)  # noqa: E731
  assert (
    count(two, shape(K, N), shape(2, K), params=0).weight_bits() == 2 * K * N
  )


def test_a_small_constant_that_a_program_builds():
  def f(x):
    hot = lax.iota(jnp.int32, 3)[:, None] == jnp.arange(1, 3)[None]
    return x @ hot.astype(x.dtype).T

  seen = {}

  class Watching(Interpreter):
    def use(self, v, size, kind, row_length):
      seen[size] = expressions.evaluate(v)
      return super().use(v, size, kind, row_length)

  jaxpr = jax.make_jaxpr(f)(shape(5, 2))
  Watching().interpret(jaxpr, [plain((5, 2))], "")
  assert seen[10] is None  # data
  np.testing.assert_array_equal(seen[6], [[0, 1, 0], [0, 0, 1]])


def test_an_array_is_its_own_value():
  x = np.arange(4.0)
  np.testing.assert_array_equal(expressions.evaluate(constant(x)), x)
  assert expressions.evaluate(plain((4,))) is None
