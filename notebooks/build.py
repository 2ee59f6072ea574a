"""Makes the notebooks from their sources, and runs them.

  python3 dev.py notebooks                   writes every `.ipynb`
  python3 dev.py notebooks --run [NAMES]     runs them whole, e.g. `--run 1 3`

A source is a file `N_name.py` of cells (`# %%`, see jupytext) without a badge and
without an install cell: both are inserted behind its first cell. Copies with
their outputs are written to `notebooks/_executed`.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence

import jupytext
import nbclient
import nbformat
from nbclient import exceptions

FOLDER = pathlib.Path(__file__).resolve().parent
EXECUTED = FOLDER / "_executed"
SOURCE = 'SOURCE = ""'  # the line of the install cell that names the repository
GITHUB = "https://github.com/"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github/"
METADATA = {
  "kernelspec": {
    "display_name": "Python 3",
    "language": "python",
    "name": "python3",
  },
  "language_info": {"name": "python"},
}
LONGEST = 1800  # seconds of a cell; a notebook takes three minutes on two cores


def sources() -> list[pathlib.Path]:
  """The sources of the notebooks, in their order."""
  return sorted(FOLDER.glob("[0-9]*_*.py"))


def repository() -> str:
  """`project.urls.Repository` of pyproject.toml, or an empty text."""
  text = (FOLDER.parent / "pyproject.toml").read_text("utf-8")
  urls = tomllib.loads(text)["project"].get("urls", {})
  return urls.get("Repository", "").rstrip("/")


def install_cell(repository: str) -> str:
  """Text of the install cell, which installs from the repository if it is set."""
  text = (FOLDER / "install_cell.py").read_text("utf-8").rstrip()
  if repository:
    text = text.replace(SOURCE, f'SOURCE = "git+{repository}"', 1)
  return text


def badge(name: str, repository: str) -> str:
  """The link that opens a notebook in Colab; empty unless it is on GitHub."""
  if not repository.startswith(GITHUB):
    return ""
  place = repository.removeprefix(GITHUB).removesuffix(".git")
  link = f"{COLAB}{place}/blob/main/notebooks/{name}.ipynb"
  return f"[![Open in Colab]({BADGE})]({link})"


def build(source: pathlib.Path, repository: str) -> nbformat.NotebookNode:
  """The notebook of a source, without outputs.

  Raises:
    ValueError: it does not begin with a markdown cell.
  """
  book = jupytext.read(source, fmt="py:percent")
  if not book.cells or book.cells[0].cell_type != "markdown":
    raise ValueError(f"{source} must begin with a markdown cell: the title.")
  v4, folded = nbformat.v4, {"cellView": "form"}  # folded by Colab
  inserted = [v4.new_code_cell(install_cell(repository), metadata=folded)]
  if link := badge(source.stem, repository):
    inserted.insert(0, v4.new_markdown_cell(link))
  book.cells[1:1] = inserted
  for number, cell in enumerate(book.cells):
    cell.id = f"cell-{number}"  # the same in every build
  return v4.new_notebook(cells=book.cells, metadata=METADATA, nbformat_minor=5)


def write(book: nbformat.NotebookNode, path: pathlib.Path) -> None:
  path.write_text(text_of(book), "utf-8")


def text_of(book: nbformat.NotebookNode) -> str:
  """The file of a notebook."""
  return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def run(book: nbformat.NotebookNode, kernel: str = "python3") -> None:
  """Runs a notebook from a clean kernel in a temporary folder.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell raised. The notebook holds the
      outputs up to there.
  """
  with tempfile.TemporaryDirectory() as folder:
    nbclient.NotebookClient(
      book,
      timeout=LONGEST,
      kernel_name=kernel,
      resources={"metadata": {"path": folder}},
    ).execute()


def chosen(names: Sequence[str]) -> list[pathlib.Path]:
  """The sources of these names or numbers; all without one.

  Raises:
    ValueError: there is no such notebook.
  """
  known = sources()
  found = []
  for name in names:
    stem = pathlib.PurePath(name).stem
    same = [p for p in known if stem in (p.stem, p.stem.partition("_")[0])]
    if not same:
      raise ValueError(
        f"No notebook {name!r}: there are {', '.join(p.stem for p in known)}."
      )
    found += same
  return found or known


def run_and_report(source: pathlib.Path) -> bool:
  """Runs a notebook, writes its copy, prints its minutes; False if it failed."""
  book = build(source, repository())
  started = time.monotonic()
  failed = ""
  try:
    run(book)
  except exceptions.CellExecutionError as error:
    failed = str(error)
  minutes = (time.monotonic() - started) / 60
  copy = EXECUTED / f"{source.stem}.ipynb"
  copy.parent.mkdir(exist_ok=True)
  write(book, copy)
  print(f"{source.stem}: {'FAILED, ' * bool(failed)}{minutes:.1f} min: {copy}")
  if failed:
    print(failed, file=sys.stderr)
  sys.stdout.flush()
  return not failed


def main(arguments: Sequence[str] | None = None) -> int:
  """Builds all notebooks, or runs some."""
  parser = argparse.ArgumentParser(
    prog="dev.py notebooks", description="Makes the notebooks, or runs them."
  )
  parser.add_argument(
    "--run",
    nargs="*",
    metavar="NAME",
    help="run these notebooks (names or numbers; all without one)",
  )
  given = parser.parse_args(arguments)
  for source in sources():
    write(build(source, repository()), source.with_suffix(".ipynb"))
  if given.run is None:
    return 0
  try:
    wanted = chosen(given.run)
  except ValueError as error:
    parser.error(str(error))
  return int(not all([run_and_report(source) for source in wanted]))


if __name__ == "__main__":
  sys.exit(main())
