"""Mesh axes of weights."""

import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.layers import partition


def names(variable):
  return variable.get_metadata("out_sharding", None)


def test_the_last_two_axes_are_sharded():
  read = lambda *a: partition.metadata(*a).get("out_sharding")  # noqa: E731
  assert read("column", 2) == ("fsdp", "tensor")
  assert read("row", 4) == (None, None, "tensor", "fsdp")
  assert read("row", 1) is None
  with pytest.raises(ValueError, match="'rwo'. Did you mean 'row'"):
    partition.metadata("rwo", 2)


def test_a_module_follows_its_layer_unless_it_says_otherwise():
  kernel = jnp.ones((2, 2))
  own = {"out_sharding": (None, "tensor"), "eager_sharding": False}
  module = nnx.Dict(
    plain=nnx.Param(kernel),
    own=nnx.Param(kernel, **own),
    vector=nnx.Param(jnp.ones(2)),
    stat=nnx.BatchStat(kernel),
  )
  partition.mark(module, "column")
  assert names(module.plain) is None
  partition.mark(module, "row")
  assert names(module.plain) == ("tensor", "fsdp")
  assert names(module.own) == (None, "tensor")
  assert names(module.vector) is names(module.stat) is None
