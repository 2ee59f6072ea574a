"""Every config trains in smoke mode and says what it is."""

import pathlib

import numpy as np
import pytest

from bnnjax.core import registry
from bnnjax.train import config_file, loop, setup

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
  report = setup.cost_of(config)
  assert report.ace > 0
  doc = path.read_text()
  assert "bnnjax train --config=configs/" + path.name in doc
  assert "Measured:" in doc or "Not run here" in doc


@pytest.mark.parametrize("method", ["float", *registry.registered("method")])
def test_every_method_trains_a_resnet(method, tmp_path):
  config = config_file.read(
    f"{ROOT}/configs/fashion_mnist_resnet.py:method={method},smoke"
  )
  result = loop.train(config, tmp_path / "run")
  assert np.isfinite(result.metrics["loss"])


def test_teacher_argument_reaches_the_task():
  config = config_file.read("configs/imagenet_pokebnn.py:teacher=runs/t")
  assert config.task.distill.teacher == "runs/t"
