"""`bnnjax sweep`."""

from bnnjax import cli


def run(capsys, *arguments):
  status = cli.main(arguments)
  out, err = capsys.readouterr()
  return status, out, err


def test_sweep_skips_what_is_done(capsys, tmp_path, monkeypatch):
  experiment, config = tmp_path / "two.py", tmp_path / "config.py"
  config.write_text(
    "from tests.train.loop_test import tiny\n"
    "def get_config(arg):\n"
    "  config = tiny()\n"
    "  config.seed = int(arg)\n"
    "  return config\n"
  )
  experiment.write_text(f"sweep = lambda: ['{config}:1', '{config}:2']\n")
  monkeypatch.chdir(tmp_path)  # runs/ lands here
  status, out, _ = run(capsys, "sweep", str(experiment))
  assert status == 0
  assert "[2/2]" in out
  assert "(done)" not in out
  status, out, _ = run(capsys, "sweep", str(experiment))
  assert out.count("(done)") == 2
  lines = (tmp_path / "results" / "two.jsonl").read_text().splitlines()
  assert len(lines) == 2
