"""The README's figure is what the committed records give."""

import pathlib

import numpy as np
from PIL import Image

from bnnjax import cli

ROOT = pathlib.Path(__file__).parents[2]


def test_the_figure_is_fresh(tmp_path, monkeypatch):
  monkeypatch.chdir(ROOT)
  folder = pathlib.Path("experiments/results")
  files = sorted(map(str, folder.glob("*.jsonl")))
  command = ["pareto", *files, "--published", f"--out={tmp_path / 'pareto'}"]
  assert cli.main(command) == 0
  remedy = "run `bnnjax pareto experiments/results/*.jsonl --published`"
  for ending in (".svg", ".csv", ".tex"):
    made = (tmp_path / f"pareto{ending}").read_bytes()
    assert made == (folder / f"pareto{ending}").read_bytes(), remedy
  with (
    Image.open(tmp_path / "pareto.png") as made,
    Image.open(folder / "pareto.png") as committed,
  ):
    assert np.array_equal(np.asarray(made), np.asarray(committed)), remedy
