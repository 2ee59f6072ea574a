"""Work that is neither a dot nor a convolution."""

import jax
import jax.numpy as jnp
from jax import lax

from bnnjax.cost import count


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


def test_elementwise_work_has_its_own_line(report):
  # The mean: 16 pixels x 8 channels, then one division by a constant.
  assert report.elementwise == {"affine": 8, "reduce_sum": 128}


def test_batch_norm_folds_to_one_multiply_add():
  def f(x, mean, var, gamma, beta):
    with jax.named_scope("batch_norm"):
      return (x - mean) * (gamma * lax.rsqrt(var + 1e-5)) + beta

  c = shape(8)
  report = count(f, shape(4, 8), c, c, c, c, params=(1, 2, 3, 4))
  assert report.elementwise == {"affine": 32}
  assert report.scalar_operations("batch_norm") == 32


def test_fixed_affine_work_counts_once_per_scope():
  def f(x, a, b):
    with jax.named_scope("one"):
      x = x * a
    with jax.named_scope("two"):
      x = x + b
    return jnp.maximum(x, 0) * a

  report = count(f, shape(4, 8), shape(8), shape(8), params=(1, 2))
  assert report.elementwise_by_scope == {
    "one": {"affine": 32},
    "two": {"affine": 32},
    "": {"max": 32, "affine": 32},
  }


def test_pooling_counts_window_times_outputs():
  def f(x):
    return lax.reduce_window(x, 0.0, lax.add, (2, 2), (2, 2), "VALID")

  assert count(f, shape(4, 4)).elementwise == {"reduce_window_sum": 16}


def test_work_of_scatters_is_their_updates():
  report = count(
    lambda x, y: x.at[jnp.array([0, 2])].add(y), shape(4, 4), shape(2, 4)
  )
  (work_of_adding,) = [v for k, v in report.elementwise.items() if "add" in k]
  assert work_of_adding == 8
