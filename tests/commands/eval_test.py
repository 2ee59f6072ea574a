"""`bnnjax eval`: a row for each metric."""

import pytest

from bnnjax import cli
from bnnjax.train import evaluate


@pytest.mark.parametrize(
  ("flags", "kind"), [((), "last"), (("--checkpoint=best",), "best")]
)
def test_metrics_are_printed(capsys, monkeypatch, tmp_path, flags, kind):
  (tmp_path / "config.json").write_text("{}")
  given = []

  def metrics(*arguments):
    given.append(arguments)
    return {"accuracy": 0.51239, "loss": 2}

  monkeypatch.setattr(evaluate, "evaluate", metrics)
  assert cli.main(["eval", f"--workdir={tmp_path}", *flags]) == 0
  assert given == [(str(tmp_path), kind)]
  out = capsys.readouterr().out
  assert out == "     accuracy  0.5124\n         loss  2.0000\n"
