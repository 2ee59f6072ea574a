"""What config files use: arguments, methods, smoke runs."""

import pytest

from bnnjax import config as config_lib


def test_arguments_of_a_config_file():
  def parse(arg):
    made = config_lib.parse_arg(arg, smoke=False, float=True, width=1.0, n="18")
    return made.smoke, made.float, made.width, made.n

  assert parse("") == (False, True, 1.0, "18")
  assert parse("smoke,float=0,width=2,n=34") == (True, False, 2.0, "34")
  assert parse("n=a=b") == (False, True, 1.0, "a=b")
  spec = "a(b=1,c=d(e=1,f=2),g=3)"
  assert parse(f"n={spec},smoke") == (True, True, 1.0, spec)


@pytest.mark.parametrize(
  ("arg", "message"),
  [
    ("smok", "argument of this config 'smok'. Did you mean 'smoke'"),
    ("smoke=2", "'smoke=2' of this config: expected `smoke=bool`"),
    ("width=x", "'width=x' of this config: expected `width=float`"),
    ("width", "'width' of this config: expected `width=float`, got no value"),
  ],
)
def test_arguments_that_a_config_file_does_not_take(arg, message):
  with pytest.raises(ValueError, match=message):
    config_lib.parse_arg(arg, smoke=False, width=1.0)


def used(method, model):
  config = config_lib.base()
  config.model = {"name": model}
  config_lib.use_method(config, method)
  return config


def test_a_method_sets_what_it_prescribes():
  config = used("xnor_net", "resnet")
  assert config.model.to_dict() == {
    "name": "resnet", "weight": "xnor_net", "act": "xnor_net"
  }  # fmt: skip
  assert config.optim.projection == "center_clamp"
  config = used("bibert", "bert")
  assert config.model.attention == "bibert"
  assert config.model.embedding == "bibert"
  assert not config.optim.projection
  assert used("ecoformer", "bert").events == ((0, "learn_hash"),)


def test_an_estimator_sets_binarizers_alone():
  config, plain = used("ste|channel_l1", "bert"), config_lib.base()
  plain.model = {
    "name": "bert", "weight": "ste|channel_l1", "act": "ste|channel_l1"
  }  # fmt: skip
  assert config == plain


def test_a_method_of_attention_on_a_network_without():
  with pytest.warns(UserWarning, match="'bibert' is for attention, which"):
    used("bibert", "resnet")


@pytest.mark.parametrize(
  ("data", "expected"),
  [
    (
      {"shape": (224, 20, 3), "num_classes": 1000},
      ("fake", (32, 20, 3), 0, 10, ("flip",)),
    ),
    (
      {"shape": (128,), "vocab": 4096, "num_classes": 4},
      ("fake_text", (32,), 128, 4, ()),
    ),
    ({"shape": (16,), "vocab": 70}, ("fake_tokens", (16,), 70, 0, ())),
  ],
)
def test_smoke_keeps_the_kind_of_data(data, expected):
  config = config_lib.base()
  config.data.update(augment=("mixup",), options={"path": "x"}, **data)
  config.task.name = "classification" if data.get("num_classes") else (
    "language_modeling"
  )  # fmt: skip
  config.events = ((0.75, "calibrate"),)
  config_lib.make_smoke(config)
  got = config.data
  assert expected == (
    got.name, got.shape, got.vocab, got.num_classes, got.augment
  )  # fmt: skip
  assert "path" not in got.options
  assert (config.steps, got.batch_size) == (4, 16)
  assert config.events == ((0.25, "calibrate"),)
