"""Types of variables, by which others choose."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.layers import variables

W = jnp.array([[0.5, -2.0], [0.0, 1.0]])


@pytest.mark.parametrize(
  ("spec", "kind"),
  [
    (None, nnx.Param),
    ("standardize > float", nnx.Param),
    ("ste", variables.LatentWeight),
    ("bop", variables.BinaryWeight),
  ],
)
def test_the_binarizer_chooses_the_type(spec, kind):
  made = variables.weight_variable(W, bx.parse(spec, "weight"), "row")
  assert type(made) is kind
  assert made.get_metadata("out_sharding") == ("tensor", "fsdp")
  signs = [[1, -1], [1, 1]]
  want = signs if kind is variables.BinaryWeight else W
  np.testing.assert_array_equal(made[...], want)


def test_parameters_of_training_are_parameters():
  assert issubclass(variables.TrainingParam, variables.BinarizerParam)
  assert not variables.TrainingParam.deployed
  assert issubclass(variables.LatentWeight, nnx.Param)
  assert not issubclass(variables.BinarizerStat, nnx.Param)


def test_arrays_of_a_dict():
  both = nnx.Dict({"a": nnx.Param(W), "b": variables.BinarizerStat(2 * W)})
  arrays = variables.arrays_of(both)
  assert arrays.keys() == {"a", "b"}
  np.testing.assert_array_equal(arrays["b"], 2 * W)
