"""Contractions of a jaxpr in the layout of binarizers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bnnjax.convert import kernels
from bnnjax.convert.contractions import Contraction
from bnnjax.convert.kernels import Kernel


def normal(*shape):
  return jax.random.normal(jax.random.key(len(shape)), shape)


def contraction(fn, w, x):
  jaxpr = jax.make_jaxpr(fn)(w, x)
  (use,) = kernels.follow(jaxpr, [Kernel("w"), None])[1]
  return Contraction.of(use)


@pytest.mark.parametrize(
  ("equation", "w", "x", "kernel", "inputs"),
  [
    ("io,bi->bo", (3, 4), (2, 3), (3, 4), (2, 3)),
    ("oi,bti->bto", (4, 3), (2, 5, 3), (3, 4), (2, 5, 3)),
    ("hdo,bhd->ob", (2, 3, 4), (5, 2, 3), (6, 4), (5, 6)),
    ("i,i->", (3,), (3,), (3, 1), (1, 3)),
    ("io,i->o", (3, 4), (3,), (3, 4), (1, 3)),
    ("eio,bei->ebo", (2, 3, 4), (5, 2, 3), (2, 3, 4), (2, 5, 3)),
    ("eio,ei->eo", (2, 3, 4), (2, 3), (2, 3, 4), (2, 1, 3)),
  ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_dots(equation, w, x, kernel, inputs, swapped):
  def fn(w, x):
    if not swapped:
      return jnp.einsum(equation, w, x)
    ins, out = equation.split("->")
    return jnp.einsum(f"{','.join(ins.split(',')[::-1])}->{out}", x, w)

  w, x = normal(*w), normal(*x)
  jaxpr = jax.make_jaxpr(fn)(w, x)
  (use,) = kernels.follow(jaxpr, [Kernel("w"), None])[1]
  op = Contraction.of(use)
  a, k = op.left(x), op.right(w)
  assert k.shape == kernel
  assert sorted(a.shape) == sorted(inputs)
  assert a.shape[-1] == op.features == k.shape[-2]
  y = op.contract(a, k, None)
  assert y.shape == use.eqn.outvars[0].aval.shape
  dims = use.eqn.params["dimension_numbers"]
  operands = (x, w) if use.side else (w, x)
  np.testing.assert_allclose(y, lax.dot_general(*operands, dims), rtol=1e-5)


def test_the_factor_of_a_dot_belongs_to_its_outputs():
  w, x = normal(3, 2, 2), normal(5, 3)
  op = contraction(lambda w, x: jnp.tensordot(w, x, ((0,), (1,))), w, x)
  factor = jnp.arange(4.0)
  y = op.contract(op.left(x), op.right(w), factor)
  wanted = jnp.einsum("iop,bi->opb", w, x) * factor.reshape(2, 2, 1)
  np.testing.assert_allclose(y, wanted, rtol=1e-5)


def test_a_convolution_with_channels_first():
  w, x = normal(4, 3, 2, 2), normal(1, 3, 5, 5)
  fn = lambda w, x: lax.conv(x, w, (1, 1), "SAME")  # noqa: E731
  op = contraction(fn, w, x)
  assert op.right(w).shape == (2, 2, 3, 4)
  assert (op.features, op.batch) == (3, 0)
  y = op.contract(op.left(x), op.right(w), jnp.arange(4.0))
  wanted = fn(w, x) * jnp.arange(4.0)[:, None, None]
  np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)


def test_a_wider_result_widens_the_operands():
  w, x = normal(3, 4).astype("bfloat16"), normal(2, 3).astype("bfloat16")
  fn = lambda w, x: lax.dot(x, w, preferred_element_type=jnp.float32)  # noqa: E731
  assert contraction(fn, w, x).dtype == jnp.float32
  assert contraction(lambda w, x: x @ w, w, x).dtype == jnp.bfloat16


def test_uses_in_other_layouts_differ():
  w, x = normal(3, 3), normal(3, 3)
  one, same, other = (
    contraction(fn, w, x).layout
    for fn in (
      lambda w, x: x @ w,
      lambda w, x: x[:2] @ w,
      lambda w, x: jnp.einsum("oi,bi->bo", w, x),
    )
  )
  assert one == same
  assert one != other
