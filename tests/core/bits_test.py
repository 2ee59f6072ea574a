from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.core import bits


def tagged(x):
  return jnp.tanh(bits.tag(jnp.sign(x), 1, role="act", alphabet=(-1, 1)) * x)


def tags(jaxpr):
  """Tag equations of a jaxpr and of everything inside it."""
  found = []
  for eqn in jaxpr.eqns:
    if eqn.primitive is bits.tag_p:
      found.append(eqn)
    for value in jax.tree.leaves(list(eqn.params.values())):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        found += tags(inner)
  return found


TRANSFORMS = {
  "jit": jax.jit,
  "vmap": jax.vmap,
  "remat": jax.checkpoint,
  "grad": lambda f: jax.grad(lambda x: f(x).sum()),
  "jvp": lambda f: lambda x: jax.jvp(f, (x,), (x,))[1],
  "scan": lambda f: lambda x: jax.lax.scan(lambda c, r: (c, f(r)), 0, x)[1],
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_tag_survives(name):
  x = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)
  assert tags(jax.make_jaxpr(TRANSFORMS[name](tagged))(x).jaxpr)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_values_and_program_are_those_without_a_tag(name, monkeypatch):
  x = jnp.linspace(-1.0, 1.0, 6).reshape(2, 3)

  def lower():
    function = jax.jit(lambda x: TRANSFORMS[name](tagged)(x))
    return function.lower(x).as_text(), function(x)

  text, value = lower()
  monkeypatch.setattr(bits, "tag", lambda x, *_, **__: x)
  jax.clear_caches()
  plain_text, plain_value = lower()
  assert text == plain_text
  np.testing.assert_array_equal(value, plain_value)


def test_tangent_is_untagged():
  x = jnp.ones(3)
  jaxpr = jax.make_jaxpr(
    lambda x: jax.jvp(lambda y: bits.tag(y, 1), (x,), (x,))
  )(x)
  assert len(tags(jaxpr.jaxpr)) == 1


def test_reverse_over_reverse():
  f = lambda x: (bits.tag(x, 1) ** 3).sum()  # noqa: E731
  got = jax.grad(lambda x: jax.grad(f)(x).sum())(jnp.array([2.0]))
  np.testing.assert_allclose(got, [12.0])


def test_terms():
  x = jnp.ones(4)
  jaxpr = jax.make_jaxpr(
    lambda x: bits.tag(x, (1, bits.BitTag(4, density=0.5)), group=2)
  )(x)
  terms = jaxpr.eqns[0].params["terms"]
  assert terms == (
    bits.BitTag(1, group=2),
    bits.BitTag(4, density=Fraction(1, 2)),
  )


@pytest.mark.parametrize(
  ("kw", "message"),
  [
    ({"bits": 0}, "at least 1, got 0"),
    ({"bits": 1.5}, "must be an int, got 1.5"),
    ({"bits": ()}, "holds no term"),
    ({"bits": 1, "role": "wieght"}, "must be one of .*'wieght'"),
    ({"bits": 1, "density": 0}, r"in \(0, 1\], got 0"),
    ({"bits": 1, "group": -1}, "int >= 0, got -1"),
    ({"bits": 1, "alphabet": (0, 1, 2)}, "3 values does not fit into 1 bits"),
  ],
)
def test_errors(kw, message):
  with pytest.raises((TypeError, ValueError), match=message):
    bits.tag(jnp.ones(2), **kw)


WORDS = jnp.zeros((5, 4), jnp.uint32)


def test_a_length_is_the_number_of_values_in_a_row_of_words():
  words = bits.tag(WORDS, 1, length=100)
  np.testing.assert_array_equal(words, WORDS)
  assert bits.tag(WORDS[0, 0], 1, length=32).shape == ()
  assert bits.tag(WORDS, 1, length=np.int64(100)).shape == (5, 4)
  assert bits.BitTag(1, length=100) != bits.BitTag(1)


@pytest.mark.parametrize(
  ("x", "width", "length", "error", "message"),
  [
    (WORDS, 1, 200, ValueError, "200 packed values take 7 words of 32 bits"),
    (WORDS, 1, 96, ValueError, r"no axis of `x` \(5, 4\) has 3"),
    (WORDS, 1, 0, ValueError, "at least 1, got 0"),
    (WORDS, 1, -3, ValueError, "at least 1, got -3"),
    (WORDS, 1, 2.5, TypeError, "`length` must be an int, got 2.5"),
    (WORDS, 1, True, TypeError, "`length` must be an int, got True"),
    (WORDS, 2, 100, ValueError, "1-bit values, got bits=2"),
    (WORDS, [1, 1], 100, ValueError, "1-bit values"),
    (WORDS.astype("float32"), 1, 100, TypeError, "integer array, got float32"),
  ],
)
def test_lengths_that_no_words_hold(x, width, length, error, message):
  with pytest.raises(error, match=message):
    bits.tag(x, width, length=length)
