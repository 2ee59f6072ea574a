"""What a person sees of a run."""

import sys

from bnnjax.train.display import Display
from tests.train.bars_test import Kernel


def test_plain_lines_without_a_terminal(capsys, monkeypatch):
  monkeypatch.setattr(Display, "EVERY", 0.0)
  display = Display(100)
  display.interval(5, {"loss": 0.9}, 10.0, ["loss"], {})
  scalars = {"loss": 0.51234, "flip_ratio": 0.5, "grad_norm": 2.0}
  more = {"lr": 0.125, "steps_per_s": 9.6489}
  display.interval(10, scalars, 1235.0, ["loss"], more)
  display.evaluation(50, 1.0, 0.25, {"accuracy": 0.9})
  display.evaluation(100, 2.0, None, {"accuracy": 0.9})
  display.close()
  out = capsys.readouterr().out.splitlines()
  assert out[1].startswith(
    "step 10/100  loss 0.5123  grad norm 2  lr 0.125  9.65 steps/s"
    "  1,235 examples/s  "
  )
  assert out[1].endswith("s left")
  assert out[2].startswith(
    "epoch  1.00  step 50/100  train loss 0.25  test accuracy 0.9  "
  )
  assert out[3].startswith("epoch  2.00  step 100/100  test accuracy 0.9  ")
  assert not out[3].endswith("left")


def test_only_a_test_split_is_called_test(capsys):
  display = Display(100)
  display.evaluation(100, 1.0, None, {"accuracy": 0.9}, "train[90:100]")
  assert "  eval accuracy 0.9  " in capsys.readouterr().out


def test_lines_are_rare_and_a_resumed_run_says_so(capsys):
  display = Display(100, 40)
  for step in (50, 60):
    display.interval(step, {"loss": 0.9}, 10.0, ["loss"], {})
  display.close()
  assert capsys.readouterr().out == "resuming at step 40/100\n"


def test_bar_in_a_terminal(capsys, monkeypatch):
  monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
  monkeypatch.setenv("TERM", "xterm")
  monkeypatch.setenv("FORCE_COLOR", "1")
  display = Display(100)
  scalars = {"loss": 0.5, "accuracy": 0.25}
  display.interval(10, scalars, 1234.0, list(scalars), {})
  display.line("kept")
  display.close()
  out = capsys.readouterr().out
  assert "kept" in out
  assert "1,234 examples/s" in out
  assert "10/100" in out


def test_bar_in_a_notebook(capsys, monkeypatch):
  kernel = Kernel(monkeypatch)
  display = Display(100)
  display.interval(10, {"loss": 0.5}, 1234.0, ["loss"], {})
  display.evaluation(100, 1.0, None, {"accuracy": 0.9})
  display.close()
  assert kernel.texts == ["0/100 ", "10/100 loss 0.5  1,234 examples/s"]
  assert "step 100/100  test accuracy 0.9" in capsys.readouterr().out
