"""What is stored: ties, masks, scales, words of packed bits."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.core import packing
from bnnjax.core.bits import BitTag, tag
from bnnjax.cost import count, inputs, sizes, storage, variables

K, N = 320, 64


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def roles(report):
  return {p.path: (p.role, p.bits) for p in report.parameters}


def test_a_tied_kernel_is_one_and_both_layers_have_a_bias():
  class Tied(nnx.Module):
    def __init__(self, rngs):
      self.a, self.b = (nnx.Linear(8, 8, rngs=rngs) for _ in range(2))
      self.b.kernel = self.a.kernel

    def __call__(self, x):
      return self.b(self.a(x))

  module = nnx.eval_shape(lambda: Tied(nnx.Rngs(0)))
  report = count(module, shape(1, 8))
  assert roles(report) == {
    "a.bias": ("bias", 32),
    "a.kernel": ("kernel", 32),
    "b.bias": ("bias", 32),
  }
  assert report.weight_bytes("fracbnn_float32") == 4 * (64 + 8 + 8)
  graph, state = nnx.split(module)
  merged = lambda g, s, x: nnx.merge(g, s)(x)  # noqa: E731
  parts = count(merged, graph, state, shape(1, 8))
  assert parts.weight_bytes("deployed") == report.weight_bytes("deployed")


def masked_terms(w1, w8, mask, scales, x):
  """PB-LLM: 90 % at 1 bit, 10 % at 8 bits, a mask and its complement."""
  low = tag(jnp.sign(w1), BitTag(1, (-1, 1), density=Fraction(9, 10)))
  high = tag(jnp.round(w8), BitTag(8, density=Fraction(1, 10)))
  ones = functools.partial(tag, bits=1, alphabet=(0, 1))
  terms = low * ones(mask), high * ones(1 - mask)
  return sum((x @ t) * s for t, s in zip(terms, scales))


@pytest.mark.parametrize("dtype", ["float32", "bool", "int8"])
def test_masked_terms_store_their_mask_once(dtype):
  def f(w1, w8, mask, *rest):
    return masked_terms(w1, w8, mask.astype(w1.dtype), *rest)

  weights = shape(K, N), shape(K, N), shape(K, N, dtype=dtype)
  scales = [shape(1, N)] * 2
  report = count(f, *weights, scales, shape(4, K), params=(0, 1, 2, 3))
  assert report.macs == {(1, 32): 4 * K * N * 9 // 10, (8, 32): 4 * K * N // 10}
  assert [(p.role, p.bits) for p in report.parameters[:3]] == [
    ("kernel", Fraction(9, 10)),
    ("kernel", Fraction(4, 5)),
    ("mask", 1),
  ]
  bits = K * N * (9 + 8 + 10) // 10
  assert report.weight_bits() == bits
  assert report.weight_bits("deployed") == bits + 2 * N * 32
  assert report.bits_per_weight == pytest.approx(2.7 + 64 / K)
  assert report.kernel_count == 2 * K * N


def test_masks_that_come_from_the_weight_or_from_nowhere():
  def own(w, scales, x):
    return masked_terms(w, w, (jnp.abs(w) < 1).astype(w.dtype), scales, x)

  def declared(w1, w8, scales, x):
    low = tag(jnp.sign(w1), 1, density=Fraction(9, 10))
    high = tag(jnp.round(w8), 8, density=Fraction(1, 10))
    return (x @ low) * scales[0] + (x @ high) * scales[1]

  scales, x = [shape(1, N)] * 2, shape(4, K)
  report = count(own, shape(K, N), scales, x, params=(0, 1))
  assert report.bits_per_weight == pytest.approx(2.7 + 64 / K)
  two = shape(K, N), shape(K, N)
  report = count(declared, *two, scales, x, params=(0, 1, 2))
  assert report.bits_per_weight == pytest.approx(2.7 + 64 / K)
  assert report.weight_bits() == K * N * 17 // 10  # no mask in the program
  half = lambda w, x: x @ tag(w, 2, density=Fraction(1, 2))  # noqa: E731
  report = count(half, shape(K, N), x, params=0)
  assert report.bits_per_weight == 2


def test_packed_words_are_the_kernel():
  def f(words, x, length):
    signs = packing.unpack_signs(words, length, axis=0)
    return x @ tag(signs, 1, role="weight")

  words = shape(10, N, dtype="uint32")
  for length in (320, 300):
    report = count(f, words, shape(4, length), length, params=0)
    assert report.macs == {(1, 32): 4 * length * N}
    assert roles(report) == {"words": ("kernel", 32)}
    for convention in ("packed", "packed_rows", "deployed", "larq", "aqt"):
      assert report.weight_bytes(convention) == 4 * 10 * N
    assert report.bits_per_weight == pytest.approx(320 / length)


def test_unknown_parameters_are_said_to_be_unknown():
  def f(params, x):
    return x @ params["kernel"]

  params = {"kernel": shape(8, 4)}
  report = count(f, params, shape(2, 8))
  (note,) = report.notes
  assert "unknown, not 0" in note
  for line in ("parameters", "weight bytes", "weight bytes deployed"):
    assert f"- {line} = unknown\n" in str(report)
    known = str(count(f, params, shape(2, 8), params=0))
    assert f"- {line} = {32 if line == 'parameters' else 128}\n" in known
  assert "unknown bytes" in report._repr_html_()
  compared = report.compare(count(f, params, shape(2, 8), params=0))
  assert ("parameters", "unknown", 32, None) in compared.rows
  assert count(f, params, shape(2, 8), params=0).notes == []
  kernel = jnp.ones((8, 4))
  (note,) = count(lambda x: x @ kernel, shape(2, 8)).notes
  assert note.startswith("128 bytes of arrays are closed over")


def test_a_mask_is_stored_beside_its_weight():
  def f(w, mask, x):
    return x @ (tag(jnp.sign(w), 1) * tag(mask, 1, alphabet=(0, 1)))

  report = count(f, shape(8, 4), shape(8, 4), shape(2, 8), params=(0, 1))
  assert report.macs == {(1, 32): 64}
  assert [p.bits for p in report.parameters] == [1, 1]


def test_a_kernel_that_is_also_read_in_float_stays_float():
  args = shape(8, 4), shape(2, 8)
  both = lambda w, x: x @ tag(jnp.sign(w), 1) + x @ w  # noqa: E731
  assert count(both, *args, params=0).weight_bits() == 32 * 32


def test_embeddings():
  def f(table, w, i):
    return tag(jnp.sign(table), 1)[i] @ w

  report = count(f, shape(10, 8), shape(8, 4), shape(3, dtype=jnp.int32),
                 params=(0, 1))  # fmt: skip
  table, w = report.parameters
  assert (table.role, table.bits) == ("embedding", 1)
  assert (w.role, w.bits) == ("kernel", 32)
  assert report.weight_bits("bibert") == 80 + 32 * 32
  assert report.weight_bits("packed") == 32 * 32


def test_names_that_moved_on_are_found_with_a_warning():
  with pytest.warns(DeprecationWarning, match="cost.sizes.weights"):
    assert storage.weights is sizes.weights
  with pytest.warns(DeprecationWarning, match="is_callable_pytree"):
    assert inputs.is_foreign is variables.is_callable_pytree
