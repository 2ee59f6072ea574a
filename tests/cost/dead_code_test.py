"""Dead code counts nothing, and a binary layer is not two layers."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax import lax

import bnnjax as bx
from bnnjax.core import registry
from bnnjax.core.bits import tag
from bnnjax.cost import count

bx.registered("method")


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


X = shape(4, 4)
DOT = 64


def both(x):
  """A live product, and a dead one behind a tanh."""
  return x @ x, jnp.tanh(x) @ jnp.tanh(x)


@jax.custom_jvp
def _jvp(x):
  return both(x)


_jvp.defjvp(lambda primals, tangents: (both(*primals), both(*tangents)))


@jax.custom_vjp
def _vjp(x):
  return both(x)


_vjp.defvjp(lambda x: (both(x), x), lambda x, g: (g[0] @ x,))

WRAPPED = {
  "plain": both,
  "jit": jax.jit(both),
  "nested jit": jax.jit(jax.jit(both)),
  "remat": jax.checkpoint(both),
  "custom_jvp": _jvp,
  "custom_vjp": _vjp,
  "vmap": lambda x: jax.vmap(both)(x[None]),
  "cond": lambda x: lax.cond(x[0, 0] > 0, both, lambda x: (x, x @ x), x),
  "map": lambda x: lax.map(both, x[None]),
  "barrier": lambda x: lax.optimization_barrier(both(x)),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_result_that_nobody_reads_is_dead(name):
  function = WRAPPED[name]
  live = count(lambda x: function(x)[0], X)
  assert live.total_macs == DOT
  assert "tanh" not in live.elementwise
  assert count(function, X).total_macs >= 2 * DOT


def test_carries_that_feed_only_themselves_are_dead():
  def body(c, _):
    a, b, d = c
    return (a @ a, b @ b, d @ b), a @ b

  def run(x, read):
    carry, ys = lax.scan(body, (x, x, x), None, length=3)
    return (*carry, ys)[read]

  macs = [count(lambda x, i=i: run(x, i), X).total_macs for i in range(4)]
  # a alone; b alone; d and the b it reads; ys with both.
  assert macs == [3 * DOT, 3 * DOT, 6 * DOT, 9 * DOT]


def test_a_while_keeps_what_its_test_reads():
  def run(x, read):
    return lax.while_loop(
      lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] @ c[1], c[2] @ c[2]), x
    )[read]

  for read, macs in ((0, 0), (1, 5 * DOT)):
    report = count(lambda x, r=read: run((0, x, x), r), X)
    assert report.total_macs == macs


def test_effects_are_kept():
  def printed(x):
    jax.debug.print("{}", x @ x)
    return x + 1

  assert count(printed, X).total_macs == DOT
  inside = lambda x: lax.scan(lambda c, _: (printed(c), None), x, None, 3)[0]  # noqa: E731
  assert count(inside, X).total_macs == 3 * DOT
  assert count(lambda x: inside(x) * 0, X).total_macs == 3 * DOT


def test_operands_that_a_forward_rule_never_reads_are_dead():
  @jax.custom_vjp
  def first(x, surrogate):
    del surrogate
    return jnp.abs(x)

  first.defvjp(
    lambda x, s: (first(x, s), None), lambda _, g: (jnp.zeros_like(g), g)
  )
  forward = count(lambda x: first(x, jnp.tanh(x) @ x), X)
  assert forward.elementwise == {"abs": 16}
  assert forward.total_macs == 0
  # Its gradient is that of the surrogate, and needs it.
  gradient = count(jax.grad(lambda x: first(x, jnp.tanh(x) @ x).sum()), X)
  assert gradient.elementwise["tanh"] == 16


def test_dead_code_changes_no_parameter():
  def net(w, v, x):
    del_me = x @ tag(v, 1)
    del del_me
    return x @ tag(w, 2)

  report = count(net, shape(4, 3), shape(4, 3), shape(2, 4), params=(0, 1))
  assert {p.path: p.role for p in report.parameters} == {
    "w": "kernel",
    "v": "other",
  }
  assert report.macs == {(2, 32): 24}


# ------------------------------------------------------------ binary layers


def linear(**options):
  return nnx.eval_shape(lambda: bx.Linear(256, 8, rngs=nnx.Rngs(0), **options))


BIAS = {"affine": 8}  # scales of the output and the bias: one multiply-add
SIGN = {"ge": 256, "select_n": 256}
CLIP = {"max": 256, "min": 256, "round": 256}


@pytest.mark.parametrize(
  ("options", "work"),
  [
    ({}, BIAS),
    (dict(act="ste"), SIGN | BIAS),
    (dict(act="approx_sign"), SIGN | BIAS),
    (dict(weight="ste|channel_l1"), BIAS),
    (dict(act="ste", weight="ste|channel_l1"), SIGN | BIAS),
    (dict(act="bibert", weight="bibert"), SIGN | BIAS),
    # x * 3, round, / 3, the latter after the product.
    (dict(act="dorefa_act(bits=2)"), CLIP | {"affine": 256 + 256 + 8}),
  ],
)
def test_work_of_a_binary_layer_is_its_forward_pass(options, work):
  report = count(linear(**options), shape(1, 256))
  assert report.elementwise == work
  # 256 inputs as float32 and 8 outputs, whatever lies between.
  assert report.activation_bytes() == 4 * (256 + 8)


def test_work_of_a_binary_convolution_is_its_forward_pass():
  layer = nnx.eval_shape(
    lambda: bx.Conv(4, 6, (3, 3), act="ste", weight="ste", rngs=nnx.Rngs(0))
  )
  report = count(layer, shape(1, 5, 5, 4))
  assert report.elementwise == {"ge": 100, "select_n": 100, "affine": 150}
  assert report.activation_bytes() == 4 * (100 + 150)


def test_activation_bits_of_calls_are_those_of_their_body():
  def plain(x):
    return jnp.minimum(jnp.maximum(x, 0), 1) * 2

  expected = count(plain, X).activation_bits
  assert expected == (16 * 32, 16 * 32)
  wrapped = lambda x: jax.jit(lambda y: jax.jit(plain)(y))(x)  # noqa: E731
  assert count(wrapped, X).activation_bits == expected
  # An operand that is needed afterwards cannot be overwritten inside.
  kept = count(lambda x: jax.jit(plain)(x) + x, X)
  assert kept.activation_bits == (2 * 16 * 32, 2 * 16 * 32)


# A ternary value is two comparisons: the first choice lies beside x.
TERNARY = ("ste_tern",)


@pytest.mark.parametrize("role", ["act", "weight"])
@pytest.mark.parametrize("name", registry.registered("estimator"))
def test_a_binary_layer_keeps_no_more_than_its_float_twin(name, role):
  size, out = 4 * 64, 4 * 16

  def activation_bytes(**options):
    layer = nnx.eval_shape(
      lambda: bx.Linear(64, 16, rngs=nnx.Rngs(0), **options)
    )
    return count(layer, shape(4, 64)).activation_bytes()

  twin = activation_bytes()
  assert twin == 4 * (size + out)
  more = 4 * (size - out) if role == "act" and name in TERNARY else 0
  assert activation_bytes(**{role: name}) == twin + more


@pytest.mark.parametrize(
  ("options", "tensors"),
  [
    # Beside x: its sign and its magnitude, of which the scale is made.
    (dict(act="ste|token_max"), 3 * 64 * 4),
    (dict(act="ste|token_l1"), 3 * 64 * 4),
    # x by the scales of its features, beside x for the shift's own term, and
    # the product of the first.
    (dict(weight="ste|affine"), 2 * 64 * 4 + 16 * 4),
  ],
)
def test_what_more_than_one_term_or_a_measured_scale_keeps(options, tensors):
  layer = nnx.eval_shape(lambda: bx.Linear(64, 16, rngs=nnx.Rngs(0), **options))
  assert count(layer, shape(4, 64)).activation_bytes() == 4 * tensors
