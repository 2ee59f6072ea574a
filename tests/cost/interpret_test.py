"""A plain user function against hand arithmetic, and laws of counting."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from bnnjax.core.bits import BitTag, tag
from bnnjax.cost import count

F32 = jnp.float32


def shape(*dims, dtype=F32):
  return jax.ShapeDtypeStruct(dims, dtype)


def user_function(image, kernel, scale, stack, query, head):
  """Conv, scan, attention; tags by hand; no layer of ours."""
  with jax.named_scope("stem"):
    x = lax.conv_general_dilated(
      tag(image, 8, role="act"),
      tag(jnp.sign(kernel), 1, role="weight") * scale,
      (2, 2),
      "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
  x = x.reshape(x.shape[0], -1, x.shape[-1])  # [2, 16, 8]

  def layer(h, w):
    with jax.named_scope("layer"):
      signs = tag(jnp.sign(h), 1, role="act")
      return jnp.tanh(signs @ tag(jnp.sign(w), 1, role="weight")), None

  with jax.named_scope("body"):
    x, _ = lax.scan(layer, x, stack)
  with jax.named_scope("attention"):
    q = tag(x @ query, 4, role="act")
    p = jax.nn.softmax(jnp.einsum("btd,bsd->bts", q, tag(x, 4)))
    x = tag(p, 8, role="act") @ tag(x, 4)
  # Two residual bases, 2:4 sparse, against a float activation.
  bases = [BitTag(1, density=0.5), BitTag(1)]
  return x.mean(1) @ tag(head, bases, role="weight")


USER_SHAPES = (
  shape(2, 8, 8, 3),
  shape(3, 3, 3, 8),
  shape(8),
  shape(5, 8, 8),
  shape(8, 8),
  shape(8, 10),
)
STEM = 2 * 4 * 4 * 8 * 3 * 9
BODY = 5 * 2 * 16 * 8 * 8
QUERY = 2 * 16 * 8 * 8
SCORES = 2 * 16 * 16 * 8
HEAD = 2 * 8 * 10
USER_MACS = {
  (1, 1): BODY,
  (1, 8): STEM,
  (1, 32): HEAD // 2 + HEAD,
  (4, 4): SCORES,
  (4, 8): SCORES,
  (32, 32): QUERY,
}


def test_a_plain_function_against_hand_arithmetic():
  report = count(user_function, *USER_SHAPES, params=(1, 2, 3, 4, 5))
  assert report.macs == USER_MACS
  assert report.bops == BODY
  assert report.ace == (
    BODY
    + 8 * STEM
    + 16 * (HEAD // 2 + HEAD)
    + 16 * SCORES
    + 32 * SCORES
    + 256 * QUERY
  )
  # kernel and stack 1 bit, query float32, head 1/2 + 1 bit.
  bits = 3 * 3 * 3 * 8 + 5 * 8 * 8 + 32 * 8 * 8 + 8 * 10 * 3 // 2
  assert report.weight_bits() == bits
  # jnp.einsum opens a scope of its own.
  scopes = [r.scope.removesuffix("/btd,bsd->bts") for r in report.rows]
  assert scopes == ["stem", "body/layer", *["attention"] * 3, "", ""]
  assert report.warnings == []


@pytest.mark.parametrize(
  "wrap",
  [
    jax.jit,
    jax.checkpoint,
    lambda f: jax.jit(jax.jit(f)),
    lambda f: lambda *a: jax.named_call(f, name="x")(*a),
    lambda f: (
      lambda *a: jax.vmap(f, in_axes=(0, *[None] * 5))(a[0][None], *a[1:])[0]
    ),
  ],
)
def test_wrappers_change_nothing(wrap):
  assert count(wrap(user_function), *USER_SHAPES).macs == USER_MACS


def test_custom_derivatives_are_entered():
  @jax.custom_vjp
  def ste(x):
    return tag(jnp.sign(x), 1)

  ste.defvjp(lambda x: (ste(x), None), lambda _, g: (g,))

  @jax.custom_jvp
  def soft(x):
    return tag(jnp.tanh(x), 8)

  soft.defjvps(lambda g, ans, x: g)
  report = count(lambda x, w: soft(x) @ ste(w), shape(2, 3), shape(3, 4))
  assert report.macs == {(1, 8): 24}


def test_gradient_of_a_binary_layer():
  @jax.custom_vjp
  def ste(x):
    return jnp.where(x >= 0, 1.0, -1.0)

  ste.defvjp(lambda x: (ste(x), None), lambda _, g: (g,))

  def loss(w, x):
    signs = tag(ste(x), 1, role="act")
    return jnp.sum((signs @ tag(ste(w), 1, role="weight")) ** 2)

  report = count(jax.grad(loss, argnums=(0, 1)), shape(8, 5), shape(3, 8))
  # Forward 1x1; dx: float gradient by binary weight; dw: by binary input.
  assert report.macs == {(1, 1): 120, (1, 32): 120, (32, 1): 120}


def test_a_whole_train_step():
  def step(params, x, y):
    def loss(w):
      return jnp.mean((x @ tag(jnp.tanh(w), 1, role="weight") - y) ** 2)

    grads = jax.grad(loss)(params["w"])
    return {"w": params["w"] - 0.1 * grads}

  report = count(step, {"w": shape(8, 5)}, shape(3, 8), shape(3, 5), params=0)
  assert report.total_macs == 2 * 120
  assert report.parameter_count == 40
  # The weights come from parameters alone; their update does not.
  assert "tanh" not in report.elementwise


def test_scopes_of_sub_programs_are_joined():
  def f(x):
    with jax.named_scope("outer"):

      def body(c, _):
        with jax.named_scope("inner"):
          return c @ c, None

      return lax.scan(body, x, None, length=3)[0]

  (row,) = count(jax.vmap(f), shape(2, 4, 4)).rows
  assert row.scope == "outer/inner"
  assert row.times == 3
  scopes = {r.scope for r in count(jax.grad(lambda x: f(x).sum()),
                                   shape(4, 4)).rows}  # fmt: skip
  assert scopes == {"outer/inner"}


def test_scopes_inside_remat():
  @jax.checkpoint
  def f(x):
    with jax.named_scope("inner"):
      return jnp.sin(x @ x)

  def loss(x):
    with jax.named_scope("outer"):
      return f(x).sum()

  scopes = {r.scope for r in count(jax.grad(loss), shape(4, 4)).rows}
  assert scopes == {"outer/inner"}


def test_primitives_that_cannot_be_counted_are_named():
  report = count(lambda x: jnp.fft.fft(x).real, shape(8))
  assert "`fft` multiplies" in report.warnings[0]
  host = count(lambda x: jax.pure_callback(lambda y: y, shape(8), x), shape(8))
  assert "cannot be counted" in host.warnings[0]


# ---------------------------------------------------------------- properties

widths = st.lists(st.integers(1, 6), min_size=3, max_size=5)
bit = st.sampled_from([1, 2, 4, 8, None])


def low(x, bits):
  return x if bits is None else tag(x, bits)


def layer(bits, a_bits):
  return lambda x, w: low(jnp.tanh(x), a_bits) @ low(w, bits)


@settings(max_examples=25, deadline=None)
@given(widths, st.lists(bit, min_size=8, max_size=8))
def test_macs_add_under_composition(sizes, bits):
  shapes = list(itertools.pairwise(sizes))
  layers = [layer(b, a) for b, a, _ in zip(bits, bits[4:], shapes)]

  def composed(x, *ws):
    for f, w in zip(layers, ws):
      x = f(x, w)
    return x

  whole = count(composed, shape(3, sizes[0]), *(shape(*s) for s in shapes))
  parts: dict = {}
  for f, s in zip(layers, shapes):
    for key, n in count(f, shape(3, s[0]), shape(*s)).macs.items():
      parts[key] = parts.get(key, 0) + n
  assert whole.macs == dict(sorted(parts.items()))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), bit, bit)
def test_vmap_multiplies(n, m, w_bits, a_bits):
  f = layer(w_bits, a_bits)
  one = count(f, shape(m, 4), shape(4, 3))
  many = count(jax.vmap(f, (0, None)), shape(n, m, 4), shape(4, 3))
  assert many.macs == {k: n * v for k, v in one.macs.items()}
  both = count(jax.vmap(f), shape(n, m, 4), shape(n, 4, 3))
  assert both.macs == many.macs


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), bit, bit)
def test_scan_equals_unrolled(n, w_bits, a_bits):
  f = layer(w_bits, a_bits)

  def scanned(x, ws):
    return lax.scan(lambda c, w: (f(c, w), None), x, ws)[0]

  def unrolled(x, ws):
    for i in range(n):
      x = f(x, ws[i])
    return x

  args = shape(2, 4), shape(n, 4, 4)
  a, b = (count(g, *args, params=1) for g in (scanned, unrolled))
  assert a.macs == b.macs
  assert a.weight_bits() == b.weight_bits()
  assert a.elementwise == b.elementwise


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), bit)
def test_remat_adds_the_recomputation(depth, w_bits):
  def block(x, w):
    return jnp.sin(jnp.sin(x @ low(w, w_bits)) @ low(w, w_bits))

  def loss(f, x, w):
    for _ in range(depth):
      x = f(x, w)
    return x.sum()

  args = shape(2, 4), shape(4, 4)
  again = jax.checkpoint(block)
  plain = count(jax.value_and_grad(lambda x, w: loss(block, x, w)), *args)
  remat = count(jax.value_and_grad(lambda x, w: loss(again, x, w)), *args)
  # Both products of a block are needed again: their sines' cosines.
  again = {k: depth * v for k, v in count(block, *args).macs.items()}
  keys = {*plain.macs, *again}
  assert remat.macs == {
    k: plain.macs.get(k, 0) + again.get(k, 0) for k in sorted(keys)
  }


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(3)), st.permutations(range(2)), bit, bit)
def test_permuting_axes_changes_nothing(order, w_order, w_bits, a_bits):
  def f(x, w, s):
    x = low(x, a_bits).transpose(order).transpose(_inverse(order))
    w = (low(w, w_bits) * s).transpose(w_order).transpose(_inverse(w_order))
    return x @ w

  args = shape(2, 3, 4), shape(4, 5), shape(5)
  expected = count(lambda x, w, s: low(x, a_bits) @ (low(w, w_bits) * s), *args)
  assert count(f, *args).macs == expected.macs


def _inverse(order):
  return sorted(range(len(order)), key=lambda i: order[i])
