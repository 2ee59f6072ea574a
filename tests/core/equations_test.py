"""Every primitive is counted, known to be no work, or named in a warning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax
from jax.experimental import pallas
from jax.extend.core import Primitive, primitives
from jax.interpreters import mlir

from bnnjax.core import equations
from bnnjax.cost import control_flow, count, elementwise, interpret


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


X = shape(4, 4)


def _kernel(x, y):
  y[...] = x[...] @ x[...]


NAMED = {
  "fft": lambda x: jnp.fft.fft(x).real,
  "cholesky": jnp.linalg.cholesky,
  "triangular_solve": lambda x: lax.linalg.triangular_solve(x, x),
  "lu": lambda x: lax.linalg.lu(x)[0],
  "ragged_dot_general": lambda x: lax.ragged_dot(
    x, x[None], jnp.array([4], jnp.int32)
  ),
  "pure_callback": lambda x: jax.pure_callback(lambda y: y, X, x),
  "pallas_call": pallas.pallas_call(_kernel, out_shape=X),
  "call_exported": lambda x: export.export(jax.jit(lambda y: y @ y))(X).call(x),
  "custom_linear_solve": lambda x: lax.custom_linear_solve(
    lambda v: x @ v, x[0], lambda f, b: b
  ),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_cannot_be_counted_is_named(name):
  warnings = count(NAMED[name], X).warnings
  assert any(f"`{name}`" in w for w in warnings), warnings


def test_an_unknown_primitive_is_named():
  mine = Primitive("my_product")
  mine.def_abstract_eval(lambda x: x)
  mlir.register_lowering(mine, lambda ctx, x: [x])
  report = count(lambda x: mine.bind(x) + 1, X)
  assert report.warnings == [
    "(top): `my_product` is unknown: whatever it computes is not counted."
  ]


SILENT = {
  "sort": jnp.sort,
  "cumsum": lambda x: jnp.cumsum(x, 0),
  "top_k": lambda x: lax.top_k(x, 2),
  "scatter": lambda x: x.at[0].add(x[1]).at[2].set(0),
  "random": lambda x: x + jax.random.normal(jax.random.key(0), (4, 4)),
  "one_hot": lambda x: jax.nn.one_hot(jnp.argmax(x, -1), 4),
  "softmax": jax.nn.softmax,
  "associative_scan": lambda x: lax.associative_scan(jnp.add, x),
  "pooling": lambda x: jax.grad(
    lambda y: lax.reduce_window(y, -jnp.inf, lax.max, (2, 2), (2, 2), "VALID")
    .sum()
  )(x),
  "print": lambda x: (jax.debug.print("{}", x), x)[1],
}  # fmt: skip


@pytest.mark.parametrize("name", SILENT)
def test_ordinary_programs_have_no_warnings(name):
  report = count(SILENT[name], X)
  assert report.warnings == []
  assert report.macs == {}


def test_every_primitive_of_jax_has_one_place():
  """What a new jax brings is named here, before a user meets its warning."""
  names = {
    getattr(primitives, n).name for n in dir(primitives) if n.endswith("_p")
  }
  calls = {
    "call", "closed_call", "custom_jvp_call", "custom_vjp_call", "jit", "remat2",
    "eval_jaxpr",
  }  # fmt: skip
  # References, and a sampler by rejection: their warning is right.
  warned = {"get", "swap", "random_gamma", "custom_lin"}
  uncounted = equations.HEAVY | equations.HIDDEN
  places = equations.QUIET | elementwise.KNOWN | uncounted
  rules = interpret.RULES.keys() | control_flow.RULES.keys()
  assert names - places - rules - calls == warned
  assert not equations.QUIET & (uncounted | rules - {"bitcast_convert_type"})


def test_a_while_with_an_unknown_trip_count_and_no_product_is_noted():
  report = count(
    lambda x: lax.while_loop(lambda c: c.sum() < 9, lambda c: c + c, x), X
  )
  assert report.warnings == []
  assert "unknown trip count" in report.notes[0]


def test_ones_are_not_counted_as_a_sum_of_floats():
  ones = np.ones((4,), np.float32)
  assert count(lambda x: x @ ones, X).macs == {(32, 32): 16}
