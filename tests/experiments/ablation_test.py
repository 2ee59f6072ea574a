"""The ablation's page: what the committed records give, and by hand."""

import pathlib
import runpy
import types

import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
ablation = types.SimpleNamespace(
  **runpy.run_path(str(ROOT / "experiments" / "ablation.py"))
)


def run(method, seed, accuracy, flips=0.0, **config):
  """A record with the fields that the page reads."""
  bits = 32 if method == "float" else 1
  spec = {"weight": method, "act": method}
  return {
    "name": f"fashion_mnist_resnet-method={method}-seed={seed}",
    "config": {
      "seed": seed,
      "epochs": 3.0,
      "steps": 0,
      "data": {
        "name": "tiles",
        "shape": [4, 4, 1],
        "batch_size": 8,
        "augment": ["flip"],
      },
      "model": {"name": "net", "depth": 8, **spec},
      "optim": {
        "name": "sgd",
        "lr": 0.1,
        "schedule": "linear",
        "warmup": 0.05,
        "weight_decay": 0.0,
      },
      **config,
    },
    "metrics": {"accuracy": accuracy, "flips_per_weight": flips},
    "cost": {
      "ace": 1000 * bits,
      "macs": {f"w{bits}a{bits}": 1000, "w32a32": 10},
      "definitions": {"ACE": "what it is"},
    },
    "wall_seconds": 90.0,
    "device": "1 x abacus",
  }


RECORDS = [
  run("float", 0, 0.8),
  run("one", 0, 0.6, 2.5),
  run("three", 0, 0.7, 1.0),
  run("float", 2, 0.9),
  run("three", 1, 0.75, 2.0),
  run("three", 2, 0.8, 3.0),
]


def rows(page):
  return [x for x in page.splitlines() if x.startswith("| `")]


def test_page_by_hand():
  page = ablation.page(RECORDS)
  assert rows(page) == [
    "| `float` | 85.00 ± 7.07 (n=2) |  | 32,000 |  | 1.5 |",
    "| `three` | 75.00 ± 5.00 (n=3) | -10.00 | 1,000"
    " | 2.00 ± 1.00 (n=3) | 1.5 |",
    "| `one` | 60.00 (n=1) | -25.00 | 1,000 | 2.50 (n=1) | 1.5 |",
  ]
  text = " ".join(page.split())
  for part in (
    "# Which method binarizes a small ResNet best",
    "`net` (depth 8) on `tiles`, images of 4 x 4 x 1",
    "3 epochs in batches of 8, sgd, learning rate 0.1 (linear, warm-up 0.05",
    "ACE: what it is;",
    "on 1 x abacus.",
  ):
    assert part in text, part


def test_order_of_the_records_does_not_matter():
  assert ablation.page(RECORDS[::-1]) == ablation.page(RECORDS)


def test_without_the_float_network_there_is_no_gap():
  (row,) = rows(ablation.page([run("one", 0, 0.6, 2.5)]))
  assert row == "| `one` | 60.00 (n=1) |  | 1,000 | 2.50 (n=1) | 1.5 |"


def test_budgets_are_not_mixed():
  longer = run("two", 0, 0.9, epochs=4.0)
  with pytest.raises(ValueError, match=r"have 2: .*3 epochs.*4 epochs"):
    ablation.page([*RECORDS, longer])
  with pytest.raises(ValueError, match="have 0"):
    ablation.page([])


@pytest.mark.parametrize("records", [RECORDS, RECORDS[1:2], RECORDS[:1]])
def test_figure_knows_its_page(tmp_path, records):
  ablation.draw(records, tmp_path / "x.png")
  with Image.open(tmp_path / "x.png") as image:
    expected = ablation.digest(ablation.page(records))
    assert image.text["Description"] == expected


def test_page_and_figure_are_fresh():
  """The figure carries a digest of the page that it belongs to."""
  page = ablation.page(ablation.record_lib.read(ablation.RECORDS))
  remedy = "run `python experiments/ablation.py`"
  assert ablation.PAGE.read_text() == page, remedy
  with Image.open(ablation.FIGURE) as image:
    assert image.text["Description"] == ablation.digest(page), remedy


def test_sweep_has_every_method_and_float_with_every_seed():
  specs = list(ablation.sweep())
  cnn = ablation.registry.registered("method", family="cnn")
  names = {"float", *cnn}
  assert len(set(specs)) == len(specs) == len(names) * ablation.SEEDS
