"""Layers of a model: paths, kernels, calls."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from bnnjax.convert import found
from bnnjax.cost import counting
from bnnjax.errors import UserError


def linear():
  return nnx.Linear(2, 2, rngs=nnx.Rngs(0))


def test_a_tied_kernel_has_the_path_of_the_state():
  model = nnx.Dict({"a": linear(), "b": linear()})
  model["b"].kernel = model["a"].kernel
  assert [f.path for f in found.layers(model)] == ["a", "b"]
  assert {f.kernel_path for f in found.layers(model)} == {"a.kernel"}


def test_paths_that_look_alike_are_refused():
  model = nnx.Dict({"a.b": linear(), "a": nnx.Dict({"b": linear()})})
  with pytest.raises(UserError, match="Two layers have the path 'a.b'"):
    found.layers(model)


def test_every_call_is_listed():
  """A table that is read first and last is the first and the last layer."""

  class Tied(nnx.Module):
    def __init__(self):
      self.words, self.mixed = nnx.Embed(3, 2, rngs=nnx.Rngs(0)), linear()

    def __call__(self, ids):
      return self.words.attend(self.mixed(self.words(ids)))

  model, ids = Tied(), jax.ShapeDtypeStruct((1, 4), jnp.int32)
  calls, traced = found.traced(model, (ids,), {})
  report = counting.of_trace(traced)
  assert calls == ["words", "mixed", "words"]
  assert report.total_macs == 4 * 2 * 2 + 4 * 2 * 3
  assert model.mixed.dot_general is jax.lax.dot_general
