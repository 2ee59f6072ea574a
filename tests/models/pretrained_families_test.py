"""Tables of names: both ways, stacked layers, every variable of our models."""

import pytest

from bnnjax import models
from bnnjax.models import pretrained
from bnnjax.models.pretrained_families import BERT, FAMILIES, Names, numbers

TABLE = Names(
  "mine",
  {
    "h.{}.w": ("blocks.{}.kernel", (1, 0)),
    "l.{}.w": ("stack.kernel", None),
    "b.{}.e.{}.w": ("blocks.{}.kernels", None),
    "emb": ("table", None),
  },
  spelling=((r"^net\.", ""), (r"gamma$", "w")),
)


@pytest.mark.parametrize(
  ("name", "target"),
  [
    ("emb", ("table", None, None)),
    ("h.12.w", ("blocks.12.kernel", None, (1, 0))),
    ("l.3.w", ("stack.kernel", 3, None)),
    ("b.2.e.3.w", ("blocks.2.kernels", 3, None)),
    ("h.w", ("", None, None)),
  ],
)
def test_a_tensor_has_a_variable_and_a_layer(name, target):
  assert TABLE.target(name) == target
  path, layer, _ = target
  if path:
    assert TABLE.source(path, layer) == name
    assert TABLE.stacks(path) == (layer is not None)


def test_spelling_is_that_of_the_table():
  assert TABLE.spell("net.h.1.gamma") == "h.1.w"
  assert (
    BERT.spell("module.x.bert.pooler.dense.weight") == "pooler.dense.weight"
  )


def test_numbers_of_a_template():
  assert numbers("a.{}.b", "a.10.b") == ("10",)
  assert numbers("a.{}.b", "a.x.b") is None
  assert numbers("a.b", "axb") is None


@pytest.mark.parametrize("name", FAMILIES)
def test_every_variable_of_a_model_has_a_tensor(name):
  config = {
    "bert": {"features": 8, "heads": 2, "num_classes": 3, "transform": True},
    "mamba": {"features": 8, "head_size": 8},
  }[name]
  config |= {"name": name, "blocks": 2, "vocab": 7, "weight": "float"}
  model = models.abstract(lambda rngs: models.make(config, rngs=rngs))
  names = FAMILIES[name]
  for path, variable in pretrained.weights(model).items():
    layer = 1 if names.stacks(path) else None
    source = names.source(path, layer)
    found, got, axes = names.target(source)
    assert (found, got) == (path, layer)
    rank = len(variable.shape) - (layer is not None)
    assert axes is None or sorted(axes) == list(range(rank))
