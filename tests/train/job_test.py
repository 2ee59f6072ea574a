"""What is known of a run before a file is touched."""

import pytest

from bnnjax.train import job, loop
from bnnjax.train.networks import Network
from bnnjax.train.plan import Plan
from tests.train.small_runs import mlp, tiny


def test_a_run_warns_and_raises_before_it_writes(tmp_path):
  with pytest.warns(UserWarning, match="uses `act='ste'`"):
    job.Job(mlp(act="ste"))
  with pytest.raises(
    ValueError, match=r"Nothing reads `optim.latent.grad_clip`"
  ):
    loop.train(mlp(optim={"latent": {"grad_clip": 1.0}}), tmp_path / "other")
  assert not (tmp_path / "other").exists()


def test_a_run_builds_its_network_once(monkeypatch):
  """For the plan; what is unused and what it costs are asked of that one."""
  built, original = [], Network.of.__func__

  def of(cls, build):
    built.append(build)
    return original(cls, build)

  monkeypatch.setattr(Network, "of", classmethod(of))
  made = job.Job(mlp())
  assert len(built) == 1
  again = Plan(made.config).report()
  assert made.report.macs == again.macs
  assert made.report.ace == again.ace


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (
      {"accumulate": 3},
      "multiple of `optim.accumulate` times .* got 16 of 3 x",
    ),
    ({"accumulate": 0}, "'optim.accumulate' must be above 0"),
    ({"latent": {"accumulate": 2}}, "Nothing reads `optim.latent.accumulate`"),
  ],
)
def test_errors(changes, message):
  config = tiny()
  config.optim.update(changes)
  with pytest.raises(ValueError, match=message):
    job.Job(config)
