"""Pages of experiments: what the committed records give."""

import pathlib
import runpy

import pytest

ROOT = pathlib.Path(__file__).parents[2] / "experiments"
PAGES = (
  "benchmarks/page",
  "bi_mamba_storage",
)


@pytest.mark.parametrize("name", PAGES)
def test_page_is_fresh(name, monkeypatch):
  monkeypatch.syspath_prepend(ROOT)  # as of a script
  made = runpy.run_path(str(ROOT / f"{name}.py"))
  remedy = f"run `python experiments/{name}.py`"
  assert made["PAGE"].read_text() == made["page"](), remedy
