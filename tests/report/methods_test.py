import json
import pathlib

import numpy as np

from bnnjax.core import registry
from bnnjax.report import methods

ROOT = pathlib.Path(__file__).parents[2]


def test_table_has_every_method_with_its_formula():
  rows = methods.method_table().splitlines()[2:]
  assert len(rows) == len(registry.registered("method"))
  for row in rows:
    assert "Backward" in row or "| float |" in row, row


def test_figure_is_fresh():
  """The curves behind the committed picture are today's."""
  stored = json.loads(
    (ROOT / "experiments/results/estimators.json").read_text()
  )
  today = methods.curves()
  assert set(stored) == set(today), "run `python experiments/estimators.py`"
  for name, curve in today.items():
    for part in ("forward", "surrogate"):
      np.testing.assert_allclose(
        stored[name][part], curve[part], rtol=1e-3, atol=1e-3, err_msg=name
      )
