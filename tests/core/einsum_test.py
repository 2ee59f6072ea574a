"""`bx.einsum` against einsums of dequantized operands, and by hand arithmetic."""

import jax
import numpy as np
import pytest

import bnnjax as bx
from bnnjax.core.scale import Measured, Scale
from bnnjax.methods.ste import ste

# Equation, shapes, axes of the operands along which their scales vary; by hand:
# products, and widths of weight and activation. A factor along a summed axis
# makes the other operand float, or if it varies along all axes its own.
CASES = [
  ("ij,jk->ik", (2, 3), (3, 4), (1,), (1,), 2 * 3 * 4, (32, 1)),
  ("ij,jk", (2, 3), (3, 4), (0,), (0,), 2 * 3 * 4, (1, 32)),
  ("ij,jk->ki", (2, 3), (3, 4), (0, 1), (1,), 2 * 3 * 4, (1, 32)),
  ("ji,jk->ik", (3, 2), (3, 4), (1,), (0, 1), 2 * 3 * 4, (32, 1)),
  ("ba,cb", (3, 2), (4, 3), (), (0,), 2 * 3 * 4, (1, 1)),
  ("i,i->", (5,), (5,), (0,), (), 5, (32, 1)),
  ("i,i->i", (5,), (5,), (0,), (0,), 5, (1, 1)),
  ("i,j->ij", (2,), (3,), (0,), (0,), 2 * 3, (1, 1)),
  ("i,j->ji", (2,), (3,), (), (0,), 2 * 3, (1, 1)),
  ("i,jk->kji", (2,), (3, 4), (0,), (1,), 2 * 3 * 4, (1, 1)),
  ("bij,bjk->bik", (2, 3, 4), (2, 4, 5), (0,), (0, 2), 2 * 3 * 4 * 5, (1, 1)),
  ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4), (0, 2), (0, 1), 4 * 3 * 5 * 4, (1, 1)),
  ("bhqk,bkhd->bqhd", (2, 2, 3, 5), (2, 5, 2, 4), (3,), (2, 3), 4 * 3 * 5 * 4, (32, 1)),
  ("bek,eko->beo", (2, 3, 4), (3, 4, 5), (0, 1), (0, 1), 2 * 3 * 4 * 5, (1, 32)),
  ("abc,bcd->ad", (2, 3, 4), (3, 4, 5), (0,), (2,), 2 * 3 * 4 * 5, (1, 1)),
  ("abc,cbd->da", (2, 3, 4), (4, 3, 5), (1, 2), (2,), 2 * 3 * 4 * 5, (32, 1)),
  ("abc,abc->", (2, 3, 4), (2, 3, 4), (2,), (), 2 * 3 * 4, (32, 1)),
  ("...k,ko->...o", (2, 3, 4), (4, 5), (0,), (1,), 2 * 3 * 4 * 5, (1, 1)),
  ("...qd,...kd->...qk", (2, 3, 4), (2, 5, 4), (1,), (0, 1), 2 * 3 * 5 * 4, (1, 1)),
  ("i...,...j", (2, 3), (3, 4), (0,), (1,), 2 * 3 * 4, (1, 1)),
  ("...ij,...jk", (2, 1, 2, 3), (5, 3, 4), (0, 2), (0,), 2 * 5 * 2 * 3 * 4, (1, 1)),
  ("bk,bk->b", (1, 4), (3, 4), (1,), (0,), 3 * 4, (32, 1)),
  ("ii,ij->ij", (3, 3), (3, 4), (), (1,), 3 * 4, (1, 1)),
  ("ii,ii->i", (3, 3), (3, 3), (0,), (), 3, (1, 1)),
  # Sums of one operand come first, and are no longer low-bit.
  ("iji,jk->k", (3, 2, 3), (2, 4), (1,), (1,), 2 * 4, (1, 32)),
  ("aij,jk->ik", (5, 2, 3), (3, 4), (0,), (1,), 2 * 3 * 4, (1, 32)),
  ("ij,jkc->ik", (2, 3), (3, 4, 5), (0,), (2,), 2 * 3 * 4, (32, 1)),
]  # fmt: skip


def binarizer(role, shape, axes):
  """Signs with random factors along some axes, and the factors."""
  factors = np.exp(
    np.random.default_rng(0).normal(
      size=[n if d in axes else 1 for d, n in enumerate(shape)]
    )
  ).astype(np.float32)
  scale = Scale("random", lambda x, params, stats, mode: Measured(factors))
  return bx.Binarizer(ste, scale=scale, role=role), factors


def gradient(dy, of, shape):
  """Of a linear function, element by element."""
  out = np.zeros(shape, np.float32)
  for index in np.ndindex(*shape):
    one = np.zeros(shape, np.float32)
    one[index] = 1
    out[index] = np.sum(dy * of(one))
  return out


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda i: CASES[i][0])
def test_values_and_gradients(number):
  """As of dequantized operands; and most again with one that is float."""
  equation, *shapes, of_a, of_w, _, _ = CASES[number]
  rng = np.random.default_rng(number)
  # Inside [-1, 1], where the surrogate's slope is 1.
  a, w = (rng.uniform(-1, 1, s).astype(np.float32) for s in shapes)
  (qa, fa), (qw, fw) = (
    binarizer("act", a.shape, of_a),
    binarizer("weight", w.shape, of_w),
  )
  lows = (("aw",), ("aw", "a"), ("aw", "w"))[number % 3]
  dense = lambda a, w: np.einsum(equation, a, w)  # noqa: E731

  @jax.jit
  def run(a, w, dy):
    def contracted(a, w, low):
      a = qa.apply(a)[0] if "a" in low else a
      return bx.einsum(equation, a, qw.apply(w)[0] if "w" in low else w)

    pulled = []
    for low in lows:
      y, pull = jax.vjp(lambda a, w, low=low: contracted(a, w, low), a, w)
      pulled.append((y, *pull(dy)))
    return pulled

  dy = rng.normal(size=dense(a, w).shape).astype(np.float32)
  for low, (y, da, dw) in zip(lows, run(a, w, dy)):
    x = np.sign(a) * fa if "a" in low else a
    v = np.sign(w) * fw if "w" in low else w
    close = lambda got, want: np.testing.assert_allclose(got, want, 2e-5, 1e-5)  # noqa: E731
    close(y, dense(x, v))
    close(da, gradient(dy, lambda a, v=v: dense(a, v), a.shape))
    close(dw, gradient(dy, lambda w, x=x: dense(x, w), w.shape))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_counts(case):
  equation, *shapes, of_a, of_w, products, widths = case
  qa, _ = binarizer("act", shapes[0], of_a)
  qw, _ = binarizer("weight", shapes[1], of_w)

  def run(a, w):
    return bx.einsum(equation, qa.apply(a)[0], qw.apply(w)[0])

  report = bx.count(run, *(jax.ShapeDtypeStruct(s, np.float32) for s in shapes))
  assert dict(report.macs) == {widths: products}
  assert bool(report.warnings) == (widths != (1, 1))


def test_float_operands_are_those_of_numpy():
  a, w = np.ones((2, 3), np.float16), np.ones((3, 4), np.float32)
  y = bx.einsum(" ij , jk -> ik ", jax.numpy.asarray(a), jax.numpy.asarray(w))
  assert y.dtype == np.float32
  np.testing.assert_array_equal(y, np.full((2, 4), 3))


def test_group_scales_and_shifts():
  """A scale for each group of the contracted axis, a shift for each input."""
  rng = np.random.default_rng(0)
  a, w = (rng.normal(size=s).astype(np.float32) for s in ((2, 8), (8, 4)))
  act = bx.parse("ste", "act")
  for spec in ("ste|group_l1(size=4)", "ste|affine"):
    made = bx.parse(spec, "weight")

    def run(a, w, made=made):
      low_a, low_w = act.apply(a)[0], made.apply(w, *made.init(w))[0]
      # Once with the groups and shifts on the other side.
      y = bx.einsum("bk,ko->ob", low_a, low_w)
      return y, bx.einsum("ko,bk->ob", low_w, low_a), low_w.dequantize()

    first, second, dense = jax.jit(run)(a, w)
    np.testing.assert_allclose(first, (np.sign(a) @ dense).T, 1e-4, 1e-5)
    np.testing.assert_allclose(second, first, 1e-4, 1e-5)
    shapes = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (a, w))
    report = bx.count(lambda a, w: run(a, w)[0], *shapes)
    want = {(1, 1): 2 * 8 * 4}  # the tag declares the groups
    if "affine" in spec:  # factors and shifts of inputs
      want = {(1, 32): 2 * 8 * 4, (32, 1): 2 * 8}
    assert dict(report.macs) == want


def test_bfloat16_sums_exactly():
  a = bx.parse("ste", "act").apply(jax.numpy.ones((2, 600), "bfloat16"))[0]
  w = jax.numpy.ones((3,), "bfloat16")
  assert (bx.einsum("ik,j->ij", a, w) == 600).all()


@pytest.mark.parametrize(
  ("equation", "shapes", "message"),
  [
    ("ij", ((2, 3), (3, 4)), "two operands, got 1"),
    ("ij,jk,kl", ((2, 3), (3, 4)), "got 3 in 'ij,jk,kl'.*in pairs"),
    ("ij,j1", ((2, 3), (3, 4)), "got 'j1'"),
    ("i....,jk", ((2, 3), (3, 4)), "at most one '...'"),
    ("ij,jk->iki", ((2, 3), (3, 4)), "axis 'i' more than once"),
    ("ij,jk->il", ((2, 3), (3, 4)), "'l' that no operand has"),
    ("ij,jk", ((2, 3), (5, 4)), r"sizes of 'j' .* \(2, 3\), \(5, 4\)"),
    ("...j,...jk", ((2, 3), (5, 3, 4)), "an axis under '...'"),
    ("ii,ij", ((1, 3), (3, 4)), "sizes of 'i'"),
    ("ijk,jk", ((2, 3), (3, 4)), r"'ijk' .* has 3 axes, got shape \(2, 3\)"),
    ("i,jk", ((2, 3), (3, 4)), "'i' .* has 1 axes"),
  ],
)
def test_equations_that_are_refused(equation, shapes, message):
  with pytest.raises(ValueError, match=message):
    bx.einsum(equation, *map(np.ones, shapes))


def test_dtypes_that_are_refused():
  low = bx.parse("ste", "weight").apply(np.ones((3, 4), np.float32))[0]
  for dtype in ("int32", "bfloat16"):
    with pytest.raises(
      TypeError, match=f"float dtype, got {dtype} and float32"
    ):
      bx.einsum("ij,jk", jax.numpy.ones((2, 3), dtype), low)
  with pytest.raises(TypeError, match="a text such as 'ij,jk', got 3"):
    bx.einsum(3, low, low)
