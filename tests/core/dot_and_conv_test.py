"""The contraction and its gradient contract, against dequantize-then-contract."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import bilinear, dot_and_conv
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.bits import BitTag
from bnnjax.core.quantized import Quantized, Term
from bnnjax.core.scale import Measured, Scale
from bnnjax.core.spec import parse
from bnnjax.methods.ste import ste

KEYS = jax.random.split(jax.random.key(0), 4)
A = jax.random.normal(KEYS[0], (3, 5, 8))
W = jax.random.normal(KEYS[1], (8, 6))


def constant(shape):
  """A scale with random positive factors of a shape."""
  s = jnp.exp(jax.random.normal(KEYS[2], shape))
  return Scale("constant", lambda x, params, stats, mode: Measured(s))


def with_scale(shape, role):
  return Binarizer(ste, scale=constant(shape), role=role)


def check_equal(apply, reference, *args, rtol=2e-5):
  """Same value, same gradients to all arguments."""
  y = jax.eval_shape(apply, *args)
  dy = np.random.default_rng(0).normal(size=y.shape).astype(y.dtype)

  def values(f):
    def run(dy, *args):
      y, vjp = jax.vjp(f, *args)
      return y, *vjp(dy)

    return jax.jit(run)(dy, *args)

  for got, want in zip(values(apply), values(reference), strict=True):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-4)


ACT_SCALES = [None, (), (3, 5, 1), (1, 1, 8), (3, 5, 8)]
WEIGHT_SCALES = [None, (), (1, 6), (8, 1), (8, 6)]


@pytest.mark.parametrize(
  ("act", "weight"), list(itertools.product(ACT_SCALES, WEIGHT_SCALES))
)
def test_dot_equals_that_of_dequantized_operands(act, weight):
  """Whatever axes the scales vary along, and with float operands too."""
  qa = with_scale(act, "act") if act is not None else parse("ste", "act")
  qw = with_scale(weight, "weight") if weight is not None else None
  quantize = lambda q, x: x if q is None else q.apply(x)[0]  # noqa: E731
  dequantize = lambda q, x: x if q is None else quantize(q, x).dequantize()  # noqa: E731
  check_equal(
    lambda a, w: dot_and_conv.dot(quantize(qa, a), quantize(qw, w)),
    lambda a, w: dequantize(qa, a) @ dequantize(qw, w),
    A,
    W,
  )


@pytest.mark.parametrize("act", [None, "ste", "ste|tensor_l1"])
@pytest.mark.parametrize("measure", ["l1", "max"])
def test_group_scales_are_applied_after_each_group(act, measure):
  qw = parse(f"ste|group_{measure}(size=4)", "weight")
  qa = parse(act, "act")
  quantize = lambda x: x if qa is None else qa.apply(x)[0]  # noqa: E731
  dequantize = lambda x: x if qa is None else quantize(x).dequantize()  # noqa: E731
  check_equal(
    lambda a, w: dot_and_conv.dot(quantize(a), qw.apply(w)[0]),
    lambda a, w: dequantize(a) @ qw.apply(w)[0].dequantize(),
    A,
    W,
  )


@pytest.mark.parametrize(
  ("strides", "padding", "dilation", "groups", "window"),
  [
    ((1, 1), "SAME", (1, 1), 1, (3, 3)),
    ((2, 1), "SAME", (1, 2), 1, (3, 2)),
    ((2, 2), "VALID", (1, 1), 4, (2, 3)),
    ((3,), ((2, 1),), (2,), 2, (3,)),
    ((1, 1, 2), "SAME", (1, 1, 1), 4, (2, 2, 1)),
  ],
)
@pytest.mark.parametrize("binary", [False, True])
def test_conv_equals_that_of_dequantized_operands(
  strides, padding, dilation, groups, window, binary
):
  a = jax.random.normal(KEYS[0], (2, *[9] * len(window), 4))
  w = jax.random.normal(KEYS[1], (*window, 4 // groups, 8))
  options = {"strides": strides, "padding": padding, "dilation": dilation}
  op = bilinear.Conv(strides, padding, dilation, groups)
  qa = with_scale((2,) + (1,) * (len(window) + 1), "act")
  qw = parse("ste|channel_l1", "weight")
  quantize = lambda q, x: q.apply(x)[0] if binary else x  # noqa: E731
  dequantize = lambda q, x: quantize(q, x).dequantize() if binary else x  # noqa: E731
  check_equal(
    lambda a, w: dot_and_conv.conv(
      quantize(qa, a), quantize(qw, w), groups=groups, **options
    ),
    lambda a, w: op(dequantize(qa, a), dequantize(qw, w)),
    a,
    w,
    rtol=1e-4,
  )


@pytest.mark.parametrize("kept", [-1, -2])
def test_conv_scale_on_channels_of_kernel(kept):
  """Output channels leave the contraction, input channels move or stay."""
  a = jax.random.normal(KEYS[0], (2, 5, 5, 4))
  w = jax.random.normal(KEYS[1], (3, 3, 4, 6))
  shape = tuple(n if i - 4 == kept else 1 for i, n in enumerate(w.shape))
  qw = with_scale(shape, "weight")
  op = bilinear.Conv((1, 1), "SAME", (1, 1))
  for qa in (None, parse("ste", "act")):
    quantize = lambda x, q=qa: x if q is None else q.apply(x)[0]  # noqa: E731
    floats = lambda x, q=qa: x if q is None else q(x)  # noqa: E731
    check_equal(
      lambda a, w, f=quantize: dot_and_conv.conv(f(a), qw.apply(w)[0]),
      lambda a, w, f=floats: op(f(a), qw.apply(w)[0].dequantize()),
      a,
      w,
      rtol=1e-4,
    )


@pytest.mark.parametrize("shift", [(), (1, 6), (8, 1), (8, 6)])
def test_sum_of_terms_masks_and_shift(shift):
  mask = (jnp.arange(48).reshape(8, 6) % 3 > 0).astype(jnp.float32)
  one = BitTag(1, (-1, 1))
  signs = jnp.where(W >= 0, 1.0, -1.0)
  q = Quantized(
    (
      Term(signs, jnp.full((1, 6), 0.5), mask, one),
      Term(-signs, jnp.full((8, 1), 0.25), None, one),
    ),
    shift=jax.random.normal(KEYS[3], shift),
  )
  want = 0.5 * signs * mask - 0.25 * signs + q.shift
  np.testing.assert_allclose(q.dequantize(), want, rtol=1e-6)
  for a in (A, parse("ste", "act").apply(A)[0]):
    dense = a if isinstance(a, jax.Array) else a.dequantize()
    np.testing.assert_allclose(
      dot_and_conv.dot(a, q), dense @ want, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("shift", [(1, 1, 1, 6), (1, 1, 4, 1)])
def test_shift_of_a_conv_kernel(shift):
  a = jax.random.normal(KEYS[0], (2, 5, 5, 4))
  w = jax.random.normal(KEYS[1], (3, 3, 4, 6))
  q = Quantized((Term(w),), shift=jax.random.normal(KEYS[2], shift))
  op = bilinear.Conv((1, 1), "SAME", (1, 1))
  np.testing.assert_allclose(
    dot_and_conv.conv(a, q), op(a, q.dequantize()), rtol=1e-4, atol=1e-4
  )


def test_scale_does_not_touch_the_weight_gradient_unless_asked():
  """XNOR-Net's contract, larq's magnitude-aware sign, and a learned scale."""
  x, w = jnp.ones((1, 2)), jnp.array([[0.5], [-0.25]])
  dw = {}
  for gradient in ("none", "multiply", "full"):
    q = parse("ste|tensor_l1", "weight", gradient=gradient)
    dot = lambda w, q=q: dot_and_conv.dot(x, q.apply(w)[0]).sum()  # noqa: E731
    dw[gradient] = jax.grad(dot)(w)
  scale = 0.375
  np.testing.assert_allclose(dw["none"], [[1], [1]])
  np.testing.assert_allclose(dw["multiply"], [[scale], [scale]])
  # dy/ds = sign(w) . x = 0 here, so the mean's own gradient adds nothing.
  np.testing.assert_allclose(dw["full"], [[scale], [scale]])


def test_learned_scale_gets_its_gradient():
  x, w = jnp.array([[1.0, 2.0]]), jnp.array([[0.5], [0.25]])
  q = parse("ste|learned(axes='tensor')", "weight")
  params, _ = q.init(w)
  np.testing.assert_allclose(params["scale"], [[0.375]])
  dot = lambda p: dot_and_conv.dot(x, q.apply(w, p)[0]).sum()  # noqa: E731
  np.testing.assert_allclose(jax.grad(dot)(params)["scale"], [[3.0]])


def test_bfloat16_accumulates_in_float32():
  ones = jnp.ones((1, 1000), jnp.bfloat16)
  q = parse("ste", "act").apply(ones)[0]
  got = dot_and_conv.dot(q, parse("ste", "weight").apply(ones.T)[0])
  assert got.dtype == jnp.bfloat16
  np.testing.assert_allclose(got.astype(jnp.float32), [[1000]])


def test_two_low_bit_operands_with_scales_inside_groups():
  qa = with_scale((1, 1, 8), "act")
  qw = parse("ste|group_l1(size=4)", "weight")
  with pytest.raises(ValueError, match="both have scales along the contracted"):
    dot_and_conv.dot(qa.apply(A)[0], qw.apply(W)[0])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("contracted", [True, False])
def test_gradients_keep_the_dtype_of_what_they_are_of(dtype, contracted):
  """Scale and shift are float32: sums of 512 outputs lose nothing to it."""
  made = parse("fbi_llm", "weight")
  w = jax.random.normal(KEYS[1], (8, 512))
  dy = jax.random.normal(KEYS[3], (3, 5, 512))
  params, stats = made.init(w)

  def loss(w, params, dtype):
    q = made.apply(w.astype(dtype), params, stats)[0]
    a = A.astype(dtype)
    y = dot_and_conv.dot(a, q) if contracted else a @ q.dequantize()
    return jnp.sum(y.astype(jnp.float32) * dy)

  grad = jax.grad(loss, (0, 1))
  dw, dparams = grad(w, params, dtype)
  want = grad(w, params, jnp.float32)
  for got, ref in ((dw, want[0]), *((dparams[k], want[1][k]) for k in dparams)):
    assert got.dtype == ref.dtype == jnp.float32
    # Its outputs and their gradients are off by 2^-9 each; sums add nothing
    # (where they are ours, and not of the product of two arrays).
    error = np.abs(np.asarray(got) - ref).max() / np.abs(ref).max()
    assert error < 2 ** (-7 if contracted else -6)


def test_factors_of_fewer_axes_than_a_map():
  """`[C]` is one a channel of `[N, H, W, C]`, not one an example."""
  channels = jnp.array([1.0, 10.0])
  one = BitTag(1, (-1, 1))
  a = Quantized((Term(jnp.ones((2, 3, 3, 2)), channels, kind=one),))
  y = dot_and_conv.conv(a.validate(), jnp.ones((1, 1, 2, 2)))
  np.testing.assert_allclose(y, np.full((2, 3, 3, 2), 11.0))
