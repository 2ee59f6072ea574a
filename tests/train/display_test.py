"""What a person sees of a run."""

import sys

from bnnjax.train.display import Display


def test_plain_lines_without_a_terminal(capsys):
  display = Display(100)
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
  display = Display(100)
  display.update(10, {"loss": 0.5, "accuracy": 0.25}, {"examples": 1234.0})
  display.line("kept")
  display.close()
  out = capsys.readouterr().out
  assert "kept" in out
  assert "1,234 examples/s" in out
  assert "10/100" in out
