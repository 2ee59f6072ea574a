"""Estimators with one fault each, and one without."""

import itertools

import jax
import jax.numpy as jnp

import bnnjax as bx
from bnnjax.core.estimator import Estimator

KEPT = []
COUNT = itertools.count(1)


def triangle(x, *, width=1.0):
  """The slope of a healthy estimator."""
  return jnp.maximum(0, 1 - jnp.abs(x) / width)


def one(x):
  return jnp.ones_like(x)


def make(name, slope=one, **fields):
  """Registers and returns an estimator; tests restore the registry."""
  return bx.estimator(name, **fields)(slope)


def scaled_sign(x):
  return jnp.where(x >= 0, 0.5, -0.5).astype(x.dtype)


def plain_sign(x):
  return jnp.sign(x)


def square_root(x):
  return 0.5 / jnp.sqrt(jnp.abs(x))


def overflowing(x):
  return 1 / jnp.square(jnp.cosh(x)) * jnp.exp(x) / jnp.exp(x)


def wide_sign(x):
  return jnp.where(x >= 0, jnp.ones(x.shape), -jnp.ones(x.shape))


def wide_slope(x):
  return jnp.ones(x.shape)


def no_number(x):
  return jnp.zeros(x.shape, jax.dtypes.float0)


def counted(x):
  return jnp.ones_like(x) / next(COUNT)


def jitted_again(x):
  return jax.jit(lambda x: jnp.ones_like(x) * 2)(x)


def branching(x, *, width=1.0):
  return jnp.ones_like(x) if width > 0.5 else jnp.zeros_like(x)


def keeping(x):
  KEPT.append(x)
  return jnp.ones_like(x)


def ignores_scale(x):
  return jnp.clip(jnp.round(x), -7, 7)


def of_the_batch(x):
  return jnp.where(x >= jnp.mean(x), 1, -1).astype(x.dtype)


def summed(x):
  return jnp.sum(x, keepdims=True)


def broken(x):
  raise ZeroDivisionError("my <own> mistake | here")


def closed_over():
  """An estimator that was made under `jit`, of a traced number."""
  made = []

  @jax.jit
  def outer(width):
    made.append(
      Estimator("closed_over", (-1, 1), lambda x: jnp.ones_like(x) * width)
    )
    return width

  outer(2.0)
  return made[0]


class Deaf(Estimator):
  """Its output has no scale."""

  def __call__(self, x, *, scale=1.0, **more):
    return super().__call__(x, scale=1.0, **more)
