"""Forms of dots and convolutions give what lax gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.core import spec
from bnnjax.core.general_ops import ConvForm, DotForm
from bnnjax.errors import UserError


def random(*shape):
  return jax.random.normal(jax.random.key(len(shape)), shape)


@pytest.mark.parametrize(
  ("x", "w", "numbers"),
  [
    ((2, 3, 4), (4, 5), (((2,), (0,)), ((), ()))),
    ((4, 3), (5, 4), (((0,), (1,)), ((), ()))),
    ((2, 3, 4, 6), (6, 7, 4, 5), (((2, 3), (2, 0)), ((), ()))),
    ((2, 3, 4), (3, 4, 5), (((2,), (1,)), ((1,), (0,)))),
    ((6, 2, 3), (2, 3, 6), (((2,), (1,)), ((1, 0), (0, 2)))),
    ((4,), (4,), (((0,), (0,)), ((), ()))),
    ((2, 3, 4), (4, 5), (((-1,), (-2,)), ((), ()))),
  ],
)
def test_dots(x, w, numbers):
  x, w = random(*x), random(*w)
  positive = tuple(
    tuple(tuple(i % n for i in a) for a, n in zip(pair, (x.ndim, w.ndim)))
    for pair in numbers
  )
  wanted = lax.dot_general(x, w, positive)
  form = DotForm.of(numbers, x.ndim, w.ndim)
  columns = [w.shape[d] for d in form.columns]
  found = form.contract(form.left(x), form.right(w), columns)
  np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_a_kernel_gets_the_scales_of_its_outputs():
  """The kernel is stored as [out, in]: one scale for each output."""
  x, w = random(3, 4), random(5, 4)
  form = DotForm.of((((1,), (1,)), ((), ())), 2, 2)
  low_bit, _ = spec.parse("ste|channel_l1", "weight").apply(form.right(w))
  found = form.contract(form.left(x), low_bit, [5])
  scale = jnp.mean(jnp.abs(w), axis=1)
  wanted = (x @ jnp.where(w >= 0, 1.0, -1.0).T) * scale
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("names", ["NHWC HWIO NHWC", "NCHW OIHW NCHW", "CWNH"])
def test_convolutions(names):
  left, right, out = (
    (names.split() * 3)[:3] if " " in names else (names, "HIWO", "HNCW")
  )
  sizes = {"N": 2, "C": 4, "H": 7, "W": 5, "I": 2, "O": 6}
  x = random(*(sizes[n] for n in left))
  window = sizes | {"H": 3, "W": 2}
  w = random(*(window[n] for n in right))
  numbers = lax.conv_dimension_numbers(x.shape, w.shape, (left, right, out))
  options = {"strides": (2, 1), "padding": ((1, 0), (0, 1))}
  wanted = lax.conv_general_dilated(
    x,
    w,
    (2, 1),
    ((1, 0), (0, 1)),
    lhs_dilation=(1, 2),
    rhs_dilation=(2, 1),
    dimension_numbers=numbers,
    feature_group_count=2,
  )
  form = ConvForm.of(
    numbers, **options, spread=(1, 2), dilation=(2, 1), groups=2
  )
  found = form.contract(form.left(x), form.right(w))
  np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_gradient_of_a_kernel_has_no_kernel():
  numbers = lax.conv_dimension_numbers((1, 4, 4), (1, 4, 4), None)
  with pytest.raises(UserError, match="no kernel to binarize, got 2"):
    ConvForm.of(numbers, (1,), "SAME", batch_groups=2)
