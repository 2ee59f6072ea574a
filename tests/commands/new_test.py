"""`bnnjax new`, and methods from outside the package."""

import pathlib
import subprocess
import sys

import pytest

from bnnjax import cli
from bnnjax.commands import new
from bnnjax.core import registry
from bnnjax.evidence import experiment

ROOT = pathlib.Path(__file__).parents[2]


def test_new_method_passes_the_contract_suite(tmp_path):
  """The skeleton keeps the contract, and its own test passes."""
  method, test = new.write("my_sign", "2401.00001", tmp_path)
  done = subprocess.run(
    [
      *(sys.executable, "-m", "pytest", "-q", "-p", "no:xdist"),
      *(f"--load={method}", "-k", "my_sign or by_hand", f"--rootdir={ROOT}"),
      *("tests/contract_test.py", str(test)),
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout
  passed = int(done.stdout.rsplit(" passed", 1)[0].split()[-1])
  assert passed >= 10, done.stdout


def test_new_method_is_listed_and_joins_the_ablation(capsys, tmp_path):
  """Registering is enough: it is a row of the experiment."""
  method, _ = new.write("my_sign", "2401.00001", tmp_path)
  with registry.restored():
    assert cli.main(["list", "estimator", f"--load={method}"]) == 0
    assert "  my_sign " in capsys.readouterr().out
    ablation = experiment.load("ablation", ROOT / "experiments")
  assert ablation.row("my_sign").spec.endswith(",method=my_sign")


def test_inside_a_clone_the_files_go_to_their_rooms(tmp_path):
  (tmp_path / "bnnjax" / "methods").mkdir(parents=True)
  files = new.write("my_sign", "2401.00001", tmp_path)
  assert [f.relative_to(tmp_path).as_posix() for f in files] == [
    "bnnjax/methods/my_sign.py",
    "tests/methods/my_sign_test.py",
  ]
  with pytest.raises(ValueError, match="exists already"):
    new.write("my_sign", "2401.00001", tmp_path)


@pytest.mark.parametrize(
  ("name", "arxiv", "message"),
  [
    ("My-Sign", "2401.00001", "named like a Python module"),
    ("ste", "2401.00001", "There is a method 'ste' already"),
    ("my_sign", "paper", "reads like 2112.00133, got 'paper'"),
  ],
)
def test_errors(tmp_path, name, arxiv, message):
  with pytest.raises(ValueError, match=message):
    new.write(name, arxiv, tmp_path)
  assert not list(tmp_path.iterdir())


def test_names_that_the_files_could_not_bear(tmp_path):
  for name in ("class", "jnp", "estimator", "width", "None"):
    with pytest.raises(ValueError, match="take another|named like a Python"):
      new.write(name, "2401.00001", tmp_path)
  assert not list(tmp_path.iterdir())
