import json

import numpy as np

from bnnjax.train import loop
from tests.train.loop_test import tiny


def test_lines_at_an_interval(tmp_path):
  config = tiny()
  config.diagnostics = 3
  loop.train(config, tmp_path / "run")
  text = (tmp_path / "run" / "diagnostics.jsonl").read_text()
  written = [json.loads(line) for line in text.splitlines()]
  assert [x["step"] for x in written] == [3, 6]
  for line in written:
    assert line["estimating_error"] > 0
    assert line["gradient_stability"] > 0
    assert set(line["layers"]) == {"layers.0.kernel", "layers.1.kernel"}
    for name, layer in line["layers"].items():
      sizes = {"layers.0.kernel": 16 * 8, "layers.1.kernel": 8 * 8}
      assert sum(layer["histogram"]) == sizes[name]
      assert 0 <= layer["flips"] <= 1
      assert -1 <= layer["balance"] <= 1
  assert any(x["layers"]["layers.1.kernel"]["flips"] > 0 for x in written)


def test_off_by_default_and_without_effect_on_the_run(tmp_path):
  plain = loop.train(tiny(), tmp_path / "plain")
  config = tiny()
  config.diagnostics = 2
  watched = loop.train(config, tmp_path / "watched")
  assert not (tmp_path / "plain" / "diagnostics.jsonl").exists()
  np.testing.assert_equal(plain.metrics, watched.metrics)
