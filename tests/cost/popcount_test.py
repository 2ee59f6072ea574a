"""Packed products: what counts, how much, and what is said."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from bnnjax.core.bits import tag
from bnnjax.core.packing import pack_signs
from bnnjax.cost import count


def words(*dims, dtype="uint32"):
  return jax.ShapeDtypeStruct(dims, dtype)


X, W = words(2, 4), words(3, 4)


def xnor(x, w):
  return 128 - 2 * lax.population_count(x[:, None] ^ w[None]).sum(-1)


def popcounts(report):
  """What is said of packed bits."""
  return [n for n in report.notes if "popcount" in n]


def test_the_words_of_a_dot_are_its_products():
  report = count(xnor, X, W)
  assert report.macs == {(1, 1): 2 * 3 * 128}
  assert (report.bops, report.ace) == (768, 768)
  (row,) = report.rows
  assert (row.op, row.length) == ("dot", 128)
  (note,) = popcounts(report)
  assert "bits that pad" in note
  assert "tag(words, 1, length=K)" in note


@pytest.mark.parametrize(
  "wrap",
  [
    jax.jit,
    jax.checkpoint,
    lambda f: lambda x, w: jax.vmap(f, (0, None))(x[None], w)[0],
    lambda f: lambda x, w: f(x.T.reshape(2, 2, 2).reshape(4, 2).T, w),
    lambda f: lambda x, w: lax.map(lambda r: f(r[None], w)[0], x),
    lambda f: (
      lambda x, w: lax.scan(lambda c, v: (c, f(x, v[None])), 0, w)[1][..., 0].T
    ),
    lambda f: lambda x, w: f(jnp.concatenate([x[:1], x[1:]]), w[::-1]),
    lambda f: lambda x, w: f(jnp.where(x[:, :1] > 3, x, x + 0), w),
    lambda f: lambda x, w: f(lax.bitcast_convert_type(x, jnp.int32),
                             lax.bitcast_convert_type(w, jnp.int32)),
    lambda f: lambda x, w: f(*(lax.bitcast_convert_type(v, jnp.uint8)
                               .reshape(-1, 16) for v in (x, w))),
  ],
)  # fmt: skip
@pytest.mark.parametrize("length", [None, 100, 128])
def test_lengths_survive_what_tags_survive(wrap, length):
  def tagged(x, w):
    if length:
      w = tag(w, 1, length=length)
    return wrap(xnor)(x, w)

  report = count(tagged, X, W)
  assert report.macs == {(1, 1): 2 * 3 * (length or 128)}
  assert len(popcounts(report)) == (length is None)
  if length:
    return
  assert not report.warnings


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100])
def test_packed_signs_and_the_row_of_a_tagged_length(length):
  w = words(3, -(-length // 32))
  report = count(
    lambda x, w: xnor(pack_signs(x), tag(w, 1, length=length)),
    jax.ShapeDtypeStruct((2, length), jnp.float32),
    w,
    params=1,
  )
  assert report.macs == {(1, 1): 2 * 3 * length}
  (row,) = report.rows
  assert row.length == length
  # The weights are stored in whole words.
  assert row.parameters == ("w",)
  assert report.weight_bits() == 3 * -(-length // 32) * 32
  assert report.weight_bytes("deployed") == 3 * -(-length // 32) * 4


def test_signs_that_are_packed_on_the_way_bring_their_length():
  report = count(
    lambda x, w: xnor(pack_signs(x), pack_signs(w, axis=0).T),
    jax.ShapeDtypeStruct((2, 70), jnp.float32),
    jax.ShapeDtypeStruct((70, 3), jnp.float32),
  )
  assert report.macs == {(1, 1): 2 * 70 * 3}
  assert popcounts(report) == []


def test_of_two_lengths_the_smaller_counts():
  f = lambda x, w: xnor(tag(x, 1, length=100), tag(w, 1, length=120))  # noqa: E731
  assert count(f, X, W).macs == {(1, 1): 2 * 3 * 100}


def test_three_planes_are_one_product():
  # Ternary: signs where the mask is set, 2 popc(m) - ... of the same words.
  def ternary(x, w, mask):
    differ = (x[:, None] ^ w[None]) & mask[None]
    return lax.population_count(differ).sum(-1)

  assert count(ternary, X, W, W).macs == {(1, 1): 768}
  low = lambda x, w: lax.population_count((x ^ w) & 0xFF).sum()  # noqa: E731
  assert count(low, X, X).macs == {(1, 1): 2 * 4 * 8}


def test_bytes_that_were_widened_are_bytes():
  def wide(x, w):
    return xnor(x.astype(jnp.uint32), w.astype(jnp.uint32))

  args = words(2, 4, dtype="uint8"), words(3, 4, dtype="uint8")
  assert count(wide, *args).macs == {(1, 1): 2 * 3 * 4 * 8}


OTHERS = {
  "xor": lambda x, y: x ^ y,
  "sum of xor": lambda x, y: (x ^ y).sum(),
  "float of xor": lambda x, y: (x ^ y).astype(jnp.float32).sum(),
  "population_count": lambda x, y: lax.population_count(x) + y,
  "of a constant": lambda x, y: lax.population_count(x & 15),
  "of its complement": lambda x, y: lax.population_count(~x),
  "of an or": lambda x, y: lax.population_count(x | y),
  "of a sum": lambda x, y: lax.population_count(x + y),
  "of a product": lambda x, y: lax.population_count((x ^ y) * y),
  "booleans": lambda x, y: ((x > 3) ^ (y > 3)).sum(),
  "dead": lambda x, y: (x + y, lax.population_count(x ^ y).sum())[0],
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_uses_of_bits_are_no_products(name):
  report = count(OTHERS[name], X, X)
  assert report.macs == {}
  assert popcounts(report) == []


def test_weights_of_counts_are_products_and_ones_are_not():
  count_of = lambda x, w: lax.population_count(x[:, None] ^ w[None])  # noqa: E731
  ones = count(lambda x, w: count_of(x, w) @ jnp.ones(4, jnp.uint32), X, W)
  assert ones.macs == {(1, 1): 768}
  planes = count(lambda x, w: count_of(x, w) @ jnp.arange(4, dtype="uint32"),
                 X, W)  # fmt: skip
  assert planes.macs == {(1, 1): 768, (32, 32): 24}


def test_words_are_stored_as_they_are():
  for length in (128, 100):
    f = lambda x, w, k: xnor(x, tag(w, 1, length=k))  # noqa: E731
    report = count(f, X, W, length, params=1)
    (w,) = report.parameters
    assert (w.role, w.bits) == ("kernel", 32)
    for convention in ("packed", "deployed", "larq", "aqt"):
      assert report.weight_bytes(convention) == 3 * 16
    assert report.bits_per_weight == pytest.approx(128 / length)
