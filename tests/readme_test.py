"""The README and the CHANGELOG show what is true today."""

import pathlib
import re

import pytest

from bnnjax.commands import COMMANDS
from bnnjax.core import registry
from bnnjax.report import pages
from experiments.published_costs import counts, printed

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_tables_are_fresh(name):
  text = (ROOT / name).read_text()
  assert pages.refresh(text, ROOT) == text, f"run `bnnjax report {name}`"


def test_published_costs_that_are_counted():
  rows, _, _ = printed.read()
  counted = sum(c.ours is not None for c in counts.read())
  guide = (ROOT / "docs" / "how_cost_is_counted.md").read_text()
  (found,) = re.findall(r"each,\s(\d+)\sof\s(\d+)\scounted", guide)
  assert tuple(map(int, found)) == (counted, len(rows))


def test_method_table_is_fresh():
  file = ROOT / "bnnjax" / "methods" / "README.md"
  text = file.read_text()
  remedy = "run `bnnjax report bnnjax/methods/README.md`"
  assert pages.refresh(text, file.parent) == text, remedy


def test_api_example_runs(tmp_path, monkeypatch, capsys):
  """With a smaller ablation: fake images, no choice of the rate."""
  (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
  assert len([x for x in code.splitlines() if x.strip()]) <= 20
  code, n = re.subn(
    r"mlp\.py(.*)lr=\[.*?\]", r"mlp.py:smoke\1seeds=2", code, flags=re.S
  )
  assert n == 1
  (tmp_path / "configs").symlink_to(ROOT / "configs")
  monkeypatch.chdir(tmp_path)
  with registry.restored():  # the other tests do not see what it registers
    exec(compile(code, "README.md", "exec"), {})
  printed = capsys.readouterr().out
  assert "0 of 15 checks failed" in printed
  assert "| `triangle` |" in printed


def test_commands_exist():
  commands = re.findall(r"^bnnjax (\w+)", TEXT, re.M)
  assert commands
  assert set(commands) <= set(COMMANDS)
  assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text()
