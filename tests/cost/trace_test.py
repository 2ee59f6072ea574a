"""What does not trace says what to change."""

import jax
import jax.numpy as jnp
import pytest

from bnnjax.cost import count


def shape(*dims, dtype="float32"):
  return jax.ShapeDtypeStruct(dims, dtype)


@pytest.mark.parametrize(
  ("fn", "hint"),
  [
    (lambda x: x[x > 0], "jnp.where"),
    (lambda x: x if x.sum() > 0 else -x, "lax.cond"),
    (lambda x: jnp.zeros(int(x[0, 0])), "data-dependent length"),
    (lambda x: jnp.nonzero(x)[0], "size="),
    (lambda x: x @ jnp.ones((7, 7)), "argument shapes"),
    (lambda x: x @ shape(2, 2), "as an argument of `count`"),
    (lambda x: x.shape.nothing, "AttributeError"),
  ],
)
def test_what_does_not_trace_says_what_to_change(fn, hint):
  with pytest.raises(
    ValueError, match=r"Cannot count .*<lambda>\(float32\[2, 2\]\)"
  ) as e:
    count(fn, shape(2, 2))
  assert hint in str(e.value)


def test_bad_arguments():
  with pytest.raises(TypeError, match=r"takes a function or an nnx\.Module"):
    count(3)
  with pytest.raises(ValueError, match=r"arguments 0 to 0, got 1"):
    count(lambda x: x, shape(2), params=1)


def test_captured_arrays_are_mentioned():
  w = jnp.ones((8, 4))
  report = count(lambda x: x @ w, shape(2, 8))
  assert report.total_macs == 64
  assert "128 bytes of arrays are closed over" in report.notes[0]
