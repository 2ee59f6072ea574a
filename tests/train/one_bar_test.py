"""One bar for the runs of an ablation."""

from bnnjax.train import one_bar
from tests.train.bars_test import Kernel


def test_runs_share_a_bar(monkeypatch, capsys):
  clock = iter(range(100))
  monkeypatch.setattr(one_bar.time, "monotonic", lambda: next(clock))
  kernel = Kernel(monkeypatch)
  bar = one_bar.OneBar(3)
  bar.begin(1, 1, "a", done=True)
  bar.begin(1, 2, "b", note=" in another folder")
  display = bar.display(100)
  display.interval(50, {"loss": 0.5}, 10.0, ["loss"], {})
  display.evaluation(100, 1.0, 0.5, {"accuracy": 0.9})
  display.close()
  bar.begin(2, 2, "c")
  bar.close()
  first, done, compiling, half, third, last = kernel.texts
  assert first == "0/3 "
  assert done == "1/3 run 1 of 3: a  on record"
  assert compiling == "1/3 run 2 of 3: b  compiling"
  assert half.startswith("1.5/3 run 2 of 3: b  loss 0.5")
  assert half.endswith("s left")
  assert third.startswith("2/3 run 3 of 3: c  compiling")
  assert last.startswith("3/3 3 runs, ")
  assert not capsys.readouterr().out


def test_the_time_left_is_that_of_what_is_trained(monkeypatch):
  now = [0.0]
  monkeypatch.setattr(one_bar.time, "monotonic", lambda: now[0])
  kernel = Kernel(monkeypatch)
  bar = one_bar.OneBar(4)
  for name in ("a", "b"):
    bar.begin(1, 1, name, done=True)
  bar.begin(3, 4, "c")
  now[0] = 5.0
  bar.begin(4, 4, "d")  # one run took 5 s, one is left
  assert kernel.texts[-1].endswith("compiling  5 s left")
