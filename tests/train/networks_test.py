"""Networks from a config: what they use, and what they cost."""

import warnings

import pytest
from flax import nnx

from bnnjax import config as config_lib
from bnnjax import models
from bnnjax.train.plan import Plan
from tests.train.small_runs import mlp


@pytest.mark.parametrize(
  ("made", "message"),
  [
    ({"act": "ste"}, "uses `act='ste'`"),
    (
      {"weight": None, "optim": {"latent_clip": 1.0}},
      "no latent weights, which",
    ),
    ({"weight": None, "optim": {"projection": "center_clamp"}}, "`optim.proj"),
    ({"weight": None, "optim": {"latent": {"lr": 0.1}}}, "`optim.latent`"),
    ({"optim": {"bop": {"gamma": 0.1}}}, "no binary weights.*`optim.bop`"),
  ],
)
def test_warns_of_what_no_layer_uses(made, message):
  with pytest.warns(UserWarning, match=message) as got:
    Plan(mlp(**made)).check_used()
  assert len(got) == 1


@pytest.mark.parametrize(
  "made",
  [
    {},
    {"weight": "bop", "optim": {"bop": {"gamma": 0.1}}},
    {"optim": {"latent_clip": 1.0, "latent": {"lr": 0.1}}},
    # What one stage leaves out another has.
    {
      "weight": "ste",
      "optim": {"latent_clip": 1.0},
      "stages": (
        {"until": 0.5, "model": {"weight": None}},
        {"until": 1.0, "restart": True},
      ),
    },
  ],
)
def test_what_a_layer_uses(made):
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    Plan(mlp(**made)).check_used()


def test_an_option_without_effect_is_refused():
  made = config_lib.base()
  made.data.update(shape=(8,), vocab=20)
  made.model = {
    "name": "mamba", "features": 16, "blocks": 1, "kind": "mamba1", "groups": 2,
  }  # fmt: skip
  made.task = {"name": "language_modeling"}
  with pytest.raises(ValueError, match="does not read `model.groups`.* got 2"):
    Plan(made).check_used()


def test_a_size_beyond_int32_is_refused_without_a_config_too():
  rngs = nnx.Rngs(0)
  with pytest.raises(
    ValueError, match=r"`features` of model .*below 2\^31.*got 2147483648"
  ):
    models.make({"name": "decoder", "features": 2**31}, rngs=rngs)
