"""Functions that are named on a command line."""

import jax
import jax.numpy as jnp
import pytest

from bnnjax.cost import named_function


def test_a_function_by_its_name():
  report = named_function.count("jax.numpy:dot", ["3,8", "8,5"], "1")
  assert report.total_macs == 3 * 8 * 5
  assert report.parameter_count == 40


@pytest.mark.parametrize(
  ("text", "shape", "dtype"),
  [
    ("1,224,224,3", (1, 224, 224, 3), "float32"),
    ("1,128:int32", (1, 128), "int32"),
    ("", (), "float32"),
    (":bfloat16", (), "bfloat16"),
  ],
)
def test_a_shape(text, shape, dtype):
  wanted = jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
  assert named_function.shape(text) == wanted


@pytest.mark.parametrize("text", ["3x8", "3,-1", "0", "3:flaot32"])
def test_a_shape_that_is_none(text):
  with pytest.raises(ValueError, match="A shape is written"):
    named_function.shape(text)


@pytest.mark.parametrize(
  ("name", "shapes", "params", "message"),
  [
    ("jax.numpy.dot", ["3"], "", "as package.module:function"),
    ("no_such_module:f", ["3"], "", "Cannot import 'no_such_module'"),
    ("jax.numpy:dott", ["3"], "", "has no 'dott'.*'dot'"),
    ("jax.numpy:dot", [], "", "Give the shapes"),
    ("jax.numpy:dot", ["3"], "one", "--params is written 0,2, got 'one'"),
  ],
)
def test_what_to_write_instead(name, shapes, params, message):
  with pytest.raises(ValueError, match=message):
    named_function.count(name, shapes, params)
