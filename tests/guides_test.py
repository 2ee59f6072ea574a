"""The lines of a guide run as they stand."""

import pathlib
import re
import shlex

import pytest

from bnnjax import cli
from bnnjax import config as config_lib
from bnnjax.core import registry
from bnnjax.train.plan import Plan

ROOT = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.S)


@pytest.fixture
def here(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").symlink_to(ROOT / "configs")
  with registry.restored():
    yield tmp_path


@pytest.mark.usefixtures("here")
def test_your_own_data(capsys):
  """Files first, in whatever order the guide shows them, then line by line."""
  blocks = BLOCK.findall((ROOT / "docs" / "your_own_data.md").read_text())
  written = {}
  for _, text in blocks:
    if match := re.match(r"# (\w+\.py)\n", text):
      written[text] = pathlib.Path(match[1])
      written[text].write_text(text)
  names: dict = {}
  for kind, text in blocks:
    if text in written:
      continue
    if kind == "python":
      exec(compile(text, "your_own_data.md", "exec"), names)
      continue
    for line in text.splitlines():
      assert cli.main(shlex.split(line)[1:]) == 0, line
  assert "test accuracy" in capsys.readouterr().out
  assert len(written) == 2


def test_your_own_layers():
  """All blocks, and a cost of the task that the guide defines."""
  text = (ROOT / "docs" / "your_own_layers.md").read_text()
  names: dict = {}
  with registry.restored():
    for kind, block in BLOCK.findall(text):
      assert kind == "python"
      exec(compile(block, "your_own_layers.md", "exec"), names)
    config = config_lib.base()
    config.data.update(name="fake", options={"shape": (4, 4, 1)})
    config.model, config.task = {"name": "denoiser"}, {"name": "diffusion"}
    report = Plan(config).report()
  assert report.macs == {(1, 1): 256, (32, 32): 17 * 16 + 16 * 16}


def test_reporting(monkeypatch, capsys):
  """All blocks of Python, on the committed records."""
  monkeypatch.chdir(ROOT)
  text = (ROOT / "docs" / "reporting.md").read_text()
  names: dict = {}
  for kind, block in BLOCK.findall(text):
    assert kind == "python"
    exec(compile(block, "reporting.md", "exec"), names)
  assert "| config |" in capsys.readouterr().out
  assert names["EXPERIMENT"].row("mine").spec.endswith("method=reste")
