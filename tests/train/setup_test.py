import warnings

import pytest
from flax import nnx

from bnnjax import config as config_lib
from bnnjax import models
from bnnjax.train import job, loop, setup
from bnnjax.train.state import Network


def config(stages=(), optim=None, **model):
  made = config_lib.base()
  made.data.update(shape=(4, 4, 1), num_classes=3)
  config_lib.make_smoke(made)
  made.model = {"name": "mlp", "hidden": (4,), **model}
  made.optim.update(optim or {})
  made.stages = stages
  return config_lib.resolve(made)


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
    setup.check_used(config(**made))
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
    setup.check_used(config(**made))


def test_a_field_of_another_stage_may_stay_unread():
  stages = (
    {"until": 0.5, "optim": {"schedule": "constant"}},
    {"until": 1.0, "restart": True},
  )
  setup.plan(config(stages, {"end_lr": 1e-5}), 4)
  stages[0]["optim"]["end_lr"] = 1e-4
  with pytest.raises(ValueError, match="Nothing reads `optim.end_lr`"):
    setup.plan(config(stages), 4)


def test_an_option_without_effect_is_refused():
  made = config_lib.base()
  made.data.update(shape=(8,), vocab=20)
  made.model = {
    "name": "mamba", "features": 16, "blocks": 1, "kind": "mamba1", "groups": 2,
  }  # fmt: skip
  made.task = {"name": "language_modeling"}
  with pytest.raises(ValueError, match="does not read `model.groups`.* got 2"):
    setup.check_used(config_lib.resolve(made))


def test_a_run_says_so_before_it_writes(tmp_path):
  with pytest.warns(UserWarning, match="uses `act='ste'`"):
    loop.Run(config(act="ste"), tmp_path / "run", "name", None)
  with pytest.raises(
    ValueError, match=r"Nothing reads `optim.latent.grad_clip`"
  ):
    loop.train(config(optim={"latent": {"grad_clip": 1.0}}), tmp_path / "other")
  assert not (tmp_path / "other").exists()


def test_more_steps_than_can_be_counted():
  with pytest.raises(
    ValueError, match=r"has 2.15e\+09 steps, of which 2147483647"
  ):
    setup.plan(config(), 2**31)


def test_a_size_beyond_int32_is_refused_without_a_config_too():
  rngs = nnx.Rngs(0)
  with pytest.raises(
    ValueError, match=r"`features` of model .*below 2\^31.*got 2147483648"
  ):
    models.make({"name": "decoder", "features": 2**31}, rngs=rngs)


def test_a_method_of_attention_on_a_network_without():
  made = config_lib.base()
  made.model = {"name": "resnet"}
  with pytest.warns(UserWarning, match="'bibert' is for attention, which"):
    config_lib.use_method(made, "bibert")
  made.model = {"name": "vit"}
  config_lib.use_method(made, "bibert")  # silent: warnings are errors here
  assert made.model.attention == "bibert"


def test_a_run_builds_its_network_once(monkeypatch):
  """For the plan; what is unused and what it costs are asked of that one."""
  built, original = [], Network.of.__func__

  def of(cls, build):
    built.append(build)
    return original(cls, build)

  monkeypatch.setattr(Network, "of", classmethod(of))
  made = job.Job(config())
  assert len(built) == 1
  again = setup.cost_of(made.config)
  assert made.report.macs == again.macs
  assert made.report.ace == again.ace
