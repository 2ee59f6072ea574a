"""Every notebook executes, and is the one that its source makes."""

import pathlib

import jupytext
import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted(
  (pathlib.Path(__file__).parents[1] / "notebooks").glob("*.py")
)


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("default")  # of the notebook machinery, not ours
def test_notebook(source):
  made = jupytext.read(source)
  stored = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
  code = lambda book: [(c.cell_type, c.source) for c in book.cells]  # noqa: E731
  assert code(stored) == code(made), f"run `jupytext --to ipynb {source}`"
  assert not any(c.get("outputs") for c in stored.cells), "outputs are not kept"
  client = nbclient.NotebookClient(
    made,
    timeout=300,
    kernel_name="python3",
    resources={"metadata": {"path": source.parent}},
  )
  client.execute()
