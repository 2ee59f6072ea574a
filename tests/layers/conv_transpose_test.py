"""ConvTranspose against sums by hand, flax, and counts as arithmetic."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx

# Spatial axes, window, and what else there is; zeros around them, by hand.
CASES = [
  ((5,), (3,), {}, ((1, 1),)),
  ((4,), (2,), {"strides": 4}, ((1, 3),)),
  ((4,), (3,), {"strides": 2, "padding": "VALID"}, ((2, 2),)),
  ((3,), (2,), {"strides": 3, "padding": "VALID"}, ((1, 2),)),
  ((4,), (4,), {"strides": 2, "dilation": 2}, ((4, 3),)),
  ((5,), (3,), {"strides": 3, "padding": [(-4, 5)]}, ((-4, 5),)),
  ((5,), (2,), {"padding": [(-1, -2)]}, ((-1, -2),)),
  ((3, 4), (3, 3), {"strides": 2}, ((2, 1), (2, 1))),
  ((3, 2), (3, 2), {"strides": (1, 2), "groups": 2}, ((1, 1), (1, 1))),
  ((3, 5), (2, 3), {"padding": (0, -1), "groups": 2, "transpose_kernel": True},
   ((0, 0), (-1, -1))),
  ((4, 3), (3, 1), {"strides": 2, "padding": "VALID", "transpose_kernel": True},
   ((2, 2), (0, 1))),
  ((2, 2, 2), (2, 2, 2), {"strides": 2, "padding": "VALID"}, ((1, 1),) * 3),
]  # fmt: skip
LOW = {"weight": "ste|channel_l1", "act": "ste"}


def pairs(spatial, window, pads, *, strides=1, dilation=1, flip=False):
  """Every input with every tap, and the output that their product goes to."""
  wide = lambda n: n if isinstance(n, tuple) else (n,) * len(window)  # noqa: E731
  strides, dilation = wide(strides), wide(dilation)
  size = [
    (n - 1) * s + 1 + sum(p) - (k - 1) * d
    for n, s, p, k, d in zip(spatial, strides, pads, window, dilation)
  ]
  found = []
  for i in np.ndindex(*spatial):
    for k in np.ndindex(*window):
      o = tuple(
        i * s - k * d + p[0]
        for i, s, k, d, p in zip(i, strides, k, dilation, pads)
      )
      if all(0 <= o < n for o, n in zip(o, size)):
        tap = tuple(n - 1 - k for n, k in zip(window, k)) if flip else k
        found.append((i, tap, o))
  return size, found


@pytest.mark.parametrize(("spatial", "window", "options", "pads"), CASES)
def test_values_and_gradients(spatial, window, options, pads):
  """Of low-bit operands, product by product; inside [-1, 1], slope 1."""
  groups = options.get("groups", 1)
  options = {**options, **LOW, "use_bias": False}
  layer = nnx.eval_shape(
    lambda: bx.ConvTranspose(2, 4, window, **options, rngs=nnx.Rngs(0))
  )
  graph, _ = nnx.split(layer)
  rng = np.random.default_rng(0)
  x = rng.uniform(-1, 1, (2, *spatial, 2)).astype(np.float32)
  kernel = rng.uniform(-1, 1, layer.kernel.shape).astype(np.float32)
  given = {k: v for k, v in options.items() if k in ("strides", "dilation")}
  flip = options.get("transpose_kernel", False)
  size, found = pairs(spatial, window, pads, flip=flip, **given)

  low_x = np.sign(x)
  axes = tuple(range(kernel.ndim - 1))
  low_w = np.sign(kernel) * np.mean(abs(kernel), axes, keepdims=True)
  dy = rng.normal(size=(2, *size, 4)).astype(np.float32)
  y, dx, dw = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(kernel)
  for g in range(groups):
    a, b = 2 // groups, 4 // groups
    before, after = slice(g * a, (g + 1) * a), slice(g * b, (g + 1) * b)
    for i, k, o in found:
      i, o, k = (..., *i, before), (..., *o, after), (*k, slice(None), after)
      y[o] += low_x[i] @ low_w[k]
      dx[i] += dy[o] @ low_w[k].T
      dw[k] += low_x[i].T @ dy[o]

  @jax.jit
  def run(x, kernel, dy):
    def apply(x, kernel):
      return nnx.merge(graph, {"kernel": kernel})(x)

    got, pull = jax.vjp(apply, x, kernel)
    return got, *pull(dy)

  for got, want in zip(run(x, kernel, dy), (y, dx, dw)):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_float_values_are_those_of_flax():
  options = {"strides": (2, 1), "transpose_kernel": True, "rngs": nnx.Rngs(0)}
  ours = bx.ConvTranspose(2, 3, (3, 2), dilation=(1, 2), **options)
  theirs = nnx.ConvTranspose(2, 3, (3, 2), kernel_dilation=(1, 2), **options)
  theirs.kernel[...] = ours.kernel[...].swapaxes(-1, -2)
  x = jax.random.normal(jax.random.key(0), (2, 4, 3, 2))
  np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  ("spatial", "window", "strides", "padding", "groups"),
  [
    ((4, 4), (3, 3), 1, "SAME", 1),
    ((4, 4), (3, 3), 2, "SAME", 1),
    ((4, 5), (4, 2), 2, "VALID", 1),
    ((4, 4), (2, 2), 4, "VALID", 1),
    ((4, 4), (3, 3), 2, "VALID", 2),
    ((3,), (5,), 3, "SAME", 1),
  ],
)
def test_counts_are_inputs_times_taps(
  spatial, window, strides, padding, groups
):
  options = {"strides": strides, "padding": padding, "groups": groups}
  layer = nnx.eval_shape(
    lambda: bx.ConvTranspose(4, 6, window, **options, **LOW, rngs=nnx.Rngs(0))
  )
  report = bx.count(layer, jax.ShapeDtypeStruct((1, *spatial, 4), jnp.float32))
  taps = math.prod(window) * 4 * 6 // groups
  assert dict(report.macs) == {(1, 1): math.prod(spatial) * taps}
  # No zero is an operand; at stride 1 it is a convolution like any other.
  assert bool(report.warnings) == (strides == 1)


def test_output_scales():
  layer = nnx.eval_shape(
    lambda: bx.ConvTranspose(
      2, 3, (3, 3), strides=2, output="rank1(size=8)", rngs=nnx.Rngs(0)
    )
  )
  assert len(layer.output.positions) == 2
  x = jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)
  assert nnx.eval_shape(lambda layer, x: layer(x), layer, x).shape[1:3] == (
    8,
    8,
  )
  with pytest.raises(ValueError, match="'spatial_l1' is the mean.*'rank1'"):
    bx.ConvTranspose(2, 3, (3, 3), output="spatial_l1", rngs=nnx.Rngs(0))


def test_errors():
  make = lambda **o: bx.ConvTranspose(2, 4, (3, 3), **o, rngs=nnx.Rngs(0))  # noqa: E731
  for options, message in (
    ({"padding": "CIRCULAR"}, "Unknown padding 'CIRCULAR'"),
    ({"groups": 3}, "`groups` must divide"),
    ({"strides": 0}, "`strides` must be at least 1"),
    ({"weight": "stee"}, "mean 'ste'"),
  ):
    with pytest.raises(ValueError, match=message):
      make(**options)
  with pytest.raises(ValueError, match=r"takes `\[batch, 2 spatial axes"):
    make()(jnp.ones((4, 4, 2)))
  with pytest.raises(ValueError, match=r"crops all inputs of a map of shape"):
    make(strides=2, padding=-2)(jnp.ones((1, 2, 2, 2)))
  with pytest.raises(ValueError, match="map of ConvTranspose .*2\\^40"):
    make(strides=2**30)(jnp.ones((1, 2, 2, 2)))
