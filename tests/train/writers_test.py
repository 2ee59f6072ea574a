import json
import sys

import pytest
from etils import epath

from bnnjax.train import writers


def test_jsonl_and_tensorboard(tmp_path):
  from tensorboardX import proto  # noqa: F401 (the extra is installed)

  out = writers.Writers(epath.Path(tmp_path), tensorboard=True, active=True)
  out.write_scalars(3, {"loss": 0.5})
  out.flush()
  out.close()
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert [json.loads(x) for x in lines] == [{"step": 3, "loss": 0.5}]
  (events,) = (tmp_path / "tensorboard").iterdir()
  assert b"loss" in events.read_bytes()


def test_missing_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorboardX", None)
  with pytest.raises(ValueError, match=r"pip install 'bnnjax\[tensorboard\]'"):
    writers.Writers(epath.Path(tmp_path), tensorboard=True, active=True)


def test_plain_lines_without_a_terminal(capsys):
  display = writers.Display(100)
  display.EVERY = 0.0
  display.update(5, {"loss": 0.9}, {"examples": 10.0})
  display.update(10, {"loss": 0.51234}, {"steps": 9.6489, "examples": 1235.0})
  display.evaluated(50, 1.0, {"test accuracy": 0.9})
  display.close()
  out = capsys.readouterr().out.splitlines()
  assert out[1].startswith(
    "step 10/100  loss 0.5123  9.65 steps/s  1,235 examples/s"
  )
  assert out[1].endswith("s left")
  assert out[2].startswith("epoch  1.00  step 50/100  test accuracy 0.9")


def test_bar_in_a_terminal(capsys, monkeypatch):
  monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
  monkeypatch.setenv("TERM", "xterm")
  monkeypatch.setenv("FORCE_COLOR", "1")
  display = writers.Display(100)
  display.update(10, {"loss": 0.5, "accuracy": 0.25}, {"examples": 1234.0})
  display.line("kept")
  display.close()
  out = capsys.readouterr().out
  assert "kept" in out
  assert "1,234 examples/s" in out
  assert "10/100" in out


@pytest.mark.parametrize(
  ("data", "speed", "shown"),
  [
    ({"vocab": 0}, {}, "2.5 steps/s  20 examples/s"),
    (
      {"vocab": 9, "batch_size": 8, "shape": (100,)},
      {"tokens_per_s": 2000.0},
      "2.5 steps/s  2,000 tokens/s",
    ),
  ],
)
def test_what_an_interval_says(tmp_path, capsys, data, speed, shown):
  """All of it in the file; of texts, tokens instead of examples on screen."""
  log = writers.Log(epath.Path(tmp_path), 100)
  log._display.EVERY = 0.0
  more = {"lr": 1e-3, "lr_latent": 0.01, **writers.speeds(2.5, data)}
  scalars = {"loss": 0.5, "grad_norm": 1.25, "flip_ratio": 0.1}
  log.interval(10, scalars, 20.0, ["loss", "perplexity"], more)
  log.close()
  (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
  assert json.loads(line) == {
    "step": 10,
    **{f"train_{k}": v for k, v in scalars.items()},
    **{"examples_per_s": 20.0, "steps_per_s": 2.5, **speed},
    **{"lr": 1e-3, "lr_latent": 0.01},
  }
  assert capsys.readouterr().out.startswith(
    "step 10/100  loss 0.5  grad norm 1.25  lr 0.001  lr latent 0.01"
    f"  {shown}  "
  )


def test_silent_on_other_processes(capsys, tmp_path):
  display = writers.Display(10, active=False)
  display.line("nothing")
  display.close()
  out = writers.Writers(epath.Path(tmp_path), tensorboard=False, active=False)
  out.write_scalars(1, {"loss": 1.0})
  out.close()
  assert not capsys.readouterr().out
  assert not list(tmp_path.iterdir())
