"""`bnnjax sweep`."""

import pathlib

CONFIG = pathlib.Path(__file__).with_name("tiny_config.py")


def test_sweep_skips_what_is_done(run, tmp_path, monkeypatch):
  experiment = tmp_path / "two.py"
  specs = [f"{CONFIG}:seed={seed}" for seed in (1, 2)]
  experiment.write_text(f"sweep = lambda: {specs!r}\n")
  monkeypatch.chdir(tmp_path)  # runs/ lands here
  status, out, _ = run("sweep", str(experiment))
  assert status == 0
  assert "[2/2]" in out
  assert "(done)" not in out
  status, out, _ = run("sweep", str(experiment))
  assert out.count("(done)") == 2
  lines = (tmp_path / "results" / "two.jsonl").read_text().splitlines()
  assert len(lines) == 2
