"""The public names, the version and the marker of types."""

import importlib.metadata
import pathlib
import tomllib

import pytest

import bnnjax as bx

ROOT = pathlib.Path(__file__).parents[1]


def test_every_public_name_can_be_imported():
  for name in dir(bx):
    assert getattr(bx, name) is not None
  kit = ("Binarize", "ConvTranspose", "conv", "dot", "einsum", "load")
  assert {*kit, "weight_variable"} <= set(dir(bx))
  with pytest.raises(AttributeError, match="no attribute 'einsun'"):
    bx.einsun  # noqa: B018


def test_version_and_types():
  """One place says the version; the wheel has all files of the package."""
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())
  assert bx.__version__ == project["project"]["version"]
  assert bx.__version__ == importlib.metadata.version("bnnjax")
  assert f"\nversion: {bx.__version__}\n" in (ROOT / "CITATION.cff").read_text()
  (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
  assert (ROOT / package / "py.typed").is_file()
