"""Every config trains in smoke mode and says what it is."""

import pathlib

import jax
import numpy as np
import pytest

from bnnjax import tasks
from bnnjax.core import registry
from bnnjax.models import resnet
from bnnjax.train import config as config_lib
from bnnjax.train import config_file, loop, optim
from bnnjax.train.plan import Plan

ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_smoke(path, tmp_path):
  config = config_file.read(f"{path}:smoke")
  result = loop.train(config, tmp_path / "run")
  assert 0 <= result.metrics["accuracy"] <= 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_full_config_is_complete(path):
  config = config_file.read(str(path))
  assert Plan(config).networks[-1].kinds
  doc = path.read_text()
  assert "bnnjax train --config=configs/" + path.name in doc
  assert "Measured:" in doc or "Not run here" in doc


@pytest.fixture
def one_block(monkeypatch):
  """Makes of a ResNet-8, which `test_smoke` trains, one of its last block.

  It has every kind of layer: a stem, convolutions with stride and without,
  shortcuts that change the shape and that do not.
  """
  plan = resnet.Plan((0, 1), (16, 32))
  monkeypatch.setitem(resnet.VARIANTS, "8", plan)


@pytest.mark.usefixtures("one_block")
@pytest.mark.parametrize(
  "method", ["float", *registry.registered("method", family="cnn")]
)
def test_every_method_trains_a_resnet(method, tmp_path):
  config = config_file.read(
    f"{ROOT}/configs/fashion_mnist_resnet.py:method={method},smoke"
  )
  result = loop.train(config, tmp_path / "run")
  assert np.isfinite(result.metrics["loss"])


@pytest.mark.parametrize(
  "name", ["imagenet_pokebnn", "imagenet_reactnet", "fashion_mnist_resnet"]
)
def test_teacher_argument_reaches_the_task(name):
  config = config_file.read(f"configs/{name}.py:teacher=runs/t")
  assert config.task.distill.teacher == "runs/t"
  distillation = tasks.build(config.task).distillation
  weights = distillation.label_weight, distillation.logit_weight
  assert weights == (0, 1)  # soft labels only


@pytest.mark.usefixtures("one_block")
def test_float_teacher_then_distilled_student_in_two_steps(tmp_path):
  spec = f"{ROOT}/configs/fashion_mnist_resnet.py:smoke"
  teacher = tmp_path / "teacher"
  loop.train(config_file.read(f"{spec},method=float"), teacher)
  config = config_file.read(
    f"{spec},method=reactnet,two_step,teacher={teacher}"
  )
  result = loop.train(config, tmp_path / "student")
  assert np.isfinite(result.metrics["loss"])
  assert result.report.macs[1, 1] > 0  # the deployed network is that of step 2
  first, second = Plan(config).stages(config.steps)
  body = [s.network.kinds["blocks"][0]["units"] for s in (first, second)]
  assert "latent" not in jax.tree.leaves(body[0])
  assert "latent" in jax.tree.leaves(body[1])


def test_reactnet_decays_weights_in_the_first_step_only():
  config = config_file.read(f"{ROOT}/configs/imagenet_reactnet.py")
  decays = [
    config_lib.optim_of(config, s)["weight_decay"] for s in config.stages
  ]
  assert decays == [1e-5, 0.0]
  lr = optim.make_schedule(config.optim, 100)
  np.testing.assert_allclose([lr(0), lr(50), lr(100)], [5e-4, 2.5e-4, 0.0])
  alone = config_file.read(
    f"{ROOT}/configs/imagenet_reactnet.py:two_step=false,variant=B"
  )
  assert alone.epochs == config.epochs / 2
  assert not alone.stages


TRANSFORMERS = registry.registered("method", family="transformer")
STUDENTS = {"wordnet_bert": TRANSFORMERS, "fashion_mnist_vit": ("bivit",)}


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDENTS)
def test_transformers_learn_from_a_float_teacher(name, tmp_path):
  """Float first; then every method starts from it and learns from it."""
  path = ROOT / "configs" / f"{name}.py"
  teacher = tmp_path / "teacher"
  loop.train(config_file.read(f"{path}:method=float,smoke"), teacher)
  for method in STUDENTS[name]:
    spec = f"{path}:method={method},teacher={teacher},smoke"
    result = loop.train(config_file.read(spec), tmp_path / method)
    assert np.isfinite(result.metrics["loss"]), method
    low = [k for k in result.report.macs_by_name if k != "w32a32"]
    assert low, method


VIT = f"{ROOT}/configs/fashion_mnist_vit.py"


@pytest.mark.parametrize(
  ("arguments", "bits"),
  [
    ("attention=bibert", {"w1a1"}),
    ("attention=all_ones,context=bivit,cross_layer=0", {"w1a1"}),
    ("mlp=w1a32", {"w1a1", "w1a32"}),
    ("method=float", set()),
  ],
)
def test_bits_of_a_vision_transformer(arguments, bits):
  """Patch embedding and head are float in all of them."""
  report = Plan(config_file.read(f"{VIT}:{arguments}")).report()
  assert set(report.macs_by_name) == {"w32a32", *bits}


def test_vision_transformers_differ_in_what_the_arguments_say():
  read = lambda arguments: config_file.read(f"{VIT}:{arguments}")  # noqa: E731
  sab = read("")
  assert sab.model.attention.probs == "softmax_aware"
  assert sab.model.attention.context == "ste(clip=4.0)"
  assert [s["until"] for s in sab.stages] == [0.5, 1.0]
  other = read("attention=bibert,context=bivit,cross_layer=0")
  assert other.model.attention.mixer == "none"
  assert other.model.attention.context == "bivit"
  assert not other.stages
  assert {**other.model, "attention": 0} == {**sab.model, "attention": 0}


def test_a_vision_transformer_is_chosen_on_held_out_images():
  data = config_file.read(f"{VIT}:images=10000,validate").data
  assert data.train_split == "train[:10000]"
  assert data.eval_split == "train[50000:]"


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ("method=float,mlp=w1a32", "leave them out with `method=float`"),
    ("mlp=w2a2", "Unknown `mlp` 'w2a2'"),
    ("attention=bireal", "'bireal' does not define attention"),
  ],
)
def test_arguments_that_a_vision_transformer_refuses(arguments, message):
  with pytest.raises(ValueError, match=message):
    config_file.read(f"{VIT}:{arguments}")
