"""Every recorded case of a method is run by some test."""

import importlib
import pathlib

import pytest

from tests import golden_cases

FILES = (
  "ste", "bireal", "biper", "dorefa", "fda", "irnet", "larq", "pokebnn",
  "reactnet", "recu", "reste", "ws_bcn", "xnor", "xnorpp",
)  # fmt: skip
# Cases that belong to another subject than the methods.
ELSEWHERE = {"pokebnn.npz": {"ace"}}  # tests/cost
DB_LATER = ("loss", "label", "box", "poly")  # text detection


@pytest.fixture(scope="module", autouse=True)
def collected():
  """Imports the test modules: asking for a case claims it."""
  for file in pathlib.Path(__file__).parent.glob("*_test.py"):
    if file.stem != "claims_test":
      importlib.import_module(f"tests.methods.{file.stem}")


@pytest.mark.golden
@pytest.mark.parametrize("stem", FILES)
def test_every_case_is_claimed(stem):
  file = f"{stem}.npz"
  assert golden_cases.unclaimed(file) == ELSEWHERE.get(file, set())


@pytest.mark.golden
def test_every_step_of_differentiable_binarization_is_claimed():
  left = golden_cases.unclaimed("db.npz", "_")
  assert not {name for name in left if not name.startswith(DB_LATER)}


@pytest.mark.golden
def test_every_hash_is_claimed():
  assert not golden_cases.unclaimed("ecoformer_hash.npz", ".")
