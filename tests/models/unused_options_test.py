import warnings

import pytest

from bnnjax import models
from bnnjax.core.spec import parse
from bnnjax.models import unused_options

IMAGES = {"num_classes": 3, "image_shape": (8, 8, 1)}
TEXT = {"vocab": 20, "max_len": 8}
MAMBA = {
  "name": "mamba",
  "features": 16,
  "blocks": 1,
  "state": 4,
  "head_size": 16,
}
BERT = {"name": "bert", "features": 16, "blocks": 1, "heads": 2}


def build(settings, rngs):
  fixed = IMAGES if "mlp" in settings["name"] else TEXT
  fixed = IMAGES if settings["name"] in ("vit", "resnet") else fixed
  return models.make(settings, rngs=rngs, **fixed)


def abstract(settings):
  return models.abstract(lambda rngs: build(settings, rngs))


def mlp(**options):
  return {"name": "mlp", "hidden": (4,), **options}


@pytest.mark.parametrize(
  ("settings", "used"),
  [
    (mlp(), {}),
    (mlp(act="ste"), {"act": False}),
    (mlp(act="ste", weight="ste"), {"act": False, "weight": True}),
    (mlp(act=None, weight="float"), {}),
    (mlp(hidden=(4, 4), act="ste"), {"act": True}),
    (mlp(hidden=(), weight=parse("ste", "weight")), {"weight": False}),
    ({**MAMBA, "weight": "bi_mamba", "act": "bi_mamba"}, {"weight": True}),
    (
      {**BERT, "weight": "bibert", "attention": "bibert", "embedding": "bibert"},
      {"weight": True, "attention": True, "embedding": True},
    ),
    (
      # Both of attention's own operands; the MLP is float.
      {
        **BERT, "weight": "ste|tensor_l1", "mlp_weight": "float",
        "attention": {"query": "ste", "weight": "float"},
      },
      {"weight": False, "attention": True, "attention.query": True},
    ),
  ],
)  # fmt: skip
def test_binarizers_that_a_layer_has(settings, used):
  assert unused_options.specs(settings, abstract(settings)) == used


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    (mlp(act="ste"), "No layer of the model 'mlp' uses `act='ste'`: as"),
    (mlp(hidden=(), act="ste", weight="ste"), "`act='ste'`, `weight='ste'`"),
  ],
)
def test_warns_once(settings, message):
  with pytest.warns(UserWarning, match=message) as got:
    models.abstract(lambda rngs: models.build(settings, rngs=rngs, **IMAGES))
  assert len(got) == 1


def test_the_default_of_a_model_is_no_choice():
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    models.abstract(lambda rngs: models.build(mlp(), rngs=rngs, **IMAGES))


@pytest.mark.parametrize(
  ("settings", "idle"),
  [
    # Of a Mamba of the first kind the heads have one channel each.
    ({**MAMBA, "kind": "mamba1", "head_size": 32, "groups": 2}, ["head_size", "groups"]),
    ({**MAMBA, "groups": 2, "head_size": 16, "chunk": 8, "conv": 3}, []),
    # v1 and v1.5 differ in where a bottleneck has its stride.
    ({"name": "resnet", "variant": "8", "version": "v1"}, ["version"]),
    # All sizes of the variant are overridden: it is a starting point.
    ({**BERT, "variant": "tiny"}, []),
    (mlp(hidden=(4, 4), weight="ste(clip=2.0)"), []),
  ],
)  # fmt: skip
def test_options_that_change_nothing(settings, idle):
  assert unused_options.options(settings, abstract(settings), build) == idle


def test_an_option_of_the_initial_values_alone_counts_as_used():
  from flax import nnx

  from bnnjax.core import registry

  class Scaled(nnx.Module):
    def __init__(self, *, gain: float = 1.0, lost: float = 1.0, rngs):
      self.kernel = nnx.Param(gain * rngs.params.normal((2,)))

  settings = {"name": "scaled_mlp", "gain": 2.0, "lost": 2.0}
  with registry.restored():
    registry.register("model", "scaled_mlp")(Scaled)
    idle = unused_options.options(settings, abstract(settings), build)
  assert idle == ["lost"]
