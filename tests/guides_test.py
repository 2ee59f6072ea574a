"""The lines of a guide run as they stand, links lead somewhere, names exist."""

import glob
import pathlib
import re
import shlex

import pytest

import bnnjax as bx
from bnnjax import arguments, cli
from bnnjax import config as config_lib
from bnnjax.commands import COMMANDS
from bnnjax.core import bits, registry
from bnnjax.core.spec import parse
from bnnjax.train import config_file
from bnnjax.train.plan import Plan

ROOT = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.S)
PAGES = sorted(
  path.relative_to(ROOT)
  for pattern in ("*.md", "docs/*.md", "bnnjax/methods/*.md")
  for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^()\s]+)\)")


@pytest.fixture
def here(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "configs").symlink_to(ROOT / "configs")
  with registry.restored():
    yield tmp_path


@pytest.mark.usefixtures("here")
def test_your_own_data(capsys):
  """Files first, in whatever order the guide shows them, then line by line."""
  blocks = BLOCK.findall((ROOT / "docs" / "your_own_data.md").read_text())
  written = {}
  for _, text in blocks:
    if match := re.match(r"# (\w+\.py)\n", text):
      written[text] = pathlib.Path(match[1])
      written[text].write_text(text)
  names: dict = {}
  for kind, text in blocks:
    if text in written:
      continue
    if kind == "python":
      exec(compile(text, "your_own_data.md", "exec"), names)
      continue
    for line in text.splitlines():
      assert cli.main(shlex.split(line)[1:]) == 0, line
  assert "test accuracy" in capsys.readouterr().out
  assert len(written) == 2


def test_your_own_layers():
  """All blocks, and a cost of the task that the guide defines."""
  text = (ROOT / "docs" / "your_own_layers.md").read_text()
  names: dict = {}
  with registry.restored():
    for kind, block in BLOCK.findall(text):
      assert kind == "python"
      exec(compile(block, "your_own_layers.md", "exec"), names)
    config = config_lib.base()
    config.data.update(name="fake", options={"shape": (4, 4, 1)})
    config.model, config.task = {"name": "denoiser"}, {"name": "diffusion"}
    report = Plan(config).report()
  assert report.macs == {(1, 1): 256, (32, 32): 17 * 16 + 16 * 16}


COMMAND = re.compile(r"^ *bnnjax (.+?)(?: +#.*)?$", re.M)


@pytest.mark.usefixtures("here")
def test_commands_of_reporting(capsys):
  """Tables are printed; a figure takes seconds, so its arguments are checked."""
  pathlib.Path("experiments").symlink_to(ROOT / "experiments")
  text = (ROOT / "docs" / "reporting.md").read_text()
  lines = [shlex.split(line) for line in COMMAND.findall(text)]
  for words in lines:
    files = [f for w in words for f in (sorted(glob.glob(w)) or [w])]
    if words[0] == "report" and "--html" not in str(words):
      assert cli.main(files) == 0, words
    else:
      args = arguments.parse(files)
      COMMANDS[args.command].check(args)
  assert len(lines) >= 5
  assert "difference to ste, 0.5" in capsys.readouterr().out


def test_the_run_of_the_quickstart_is_where_it_says():
  text = (ROOT / "docs" / "quickstart.md").read_text()
  (spec,) = re.findall(r"bnnjax train --config=(\S+)", text)
  (workdir,) = re.findall(r"--workdir=(\S+)", text)
  assert workdir == f"runs/{config_file.name_of(spec)}"


def test_reporting(monkeypatch, capsys):
  """All blocks of Python, on the committed records."""
  monkeypatch.chdir(ROOT)
  text = (ROOT / "docs" / "reporting.md").read_text()
  names: dict = {}
  for kind, block in BLOCK.findall(text):
    assert kind == "python"
    exec(compile(block, "reporting.md", "exec"), names)
  assert "| config |" in capsys.readouterr().out
  assert names["EXPERIMENT"].row("mine").spec.endswith("method=reste")


@pytest.mark.parametrize(
  "name",
  ["quickstart", "convert", "your_own_estimator", "how_cost_is_counted"],
)
def test_a_guide_in_python(name, capsys):
  """All blocks, one after another."""
  names: dict = {}
  with registry.restored():
    text = (ROOT / "docs" / f"{name}.md").read_text()
    for kind, block in BLOCK.findall(text):
      assert kind == "python"
      exec(compile(block, f"{name}.md", "exec"), names)
  if name == "convert":
    assert names["values"][-1] < names["values"][0]
  if name in ("quickstart", "convert"):
    assert names["losses"][-1] < names["losses"][0]
  if name == "quickstart":
    assert "0 of 13 checks failed" in capsys.readouterr().out


def anchors(text):
  """The anchors of headings, as GitHub and MyST make them."""
  text = re.sub(r"```.*?```", "", text, flags=re.S)
  heads = re.findall(r"^#+ (.+)$", text, re.M)
  return {
    re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads
  }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_a_file_and_a_heading(page):
  text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
  for link in LINK.findall(text):
    if re.match(r"\w+:", link):
      continue  # another site
    file, _, anchor = link.partition("#")
    target = (ROOT / page).parent / file if file else ROOT / page
    assert target.exists(), link
    if anchor:
      assert anchor in anchors(target.read_text()), link


def test_every_guide_is_in_the_table_of_contents():
  index = (ROOT / "docs" / "index.md").read_text()
  contents = index.rpartition("```{toctree}")[2].split()
  guides = {p.stem for p in (ROOT / "docs").glob("*.md")} - {"index"}
  assert guides <= set(contents)


def test_every_public_name_has_a_place_on_the_page_of_the_api():
  text = (ROOT / "docs" / "api.md").read_text()
  found = re.findall(r"\.\. auto\w+:: bnnjax\.(\w+)", text)
  assert set(found) == set(bx.__all__)


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name == "docs"])
def test_names_of_bx_in_a_guide_exist(page):
  names = re.findall(r"\bbx\.(\w+)", (ROOT / page).read_text())
  assert set(names) <= set(bx.__all__)


def test_specs_of_the_tables_of_equivalents_can_be_read():
  text = (ROOT / "docs" / "coming_from.md").read_text().replace("\\|", "|")
  rows = [row.rsplit(" | ", 1)[-1] for row in re.findall(r"^\|.*", text, re.M)]
  specs = [s for row in rows for s in re.findall(r'"([^"]+)"', row)]
  others = (*bits.ROLES, "dorefa_grad")  # a role, a quantizer of gradients
  specs = [s for s in specs if not s.startswith(others)]
  assert len(specs) > 25
  for spec in specs:
    assert any(readable(spec, role) for role in bits.ROLES), spec


def readable(spec, role):
  try:
    return parse(spec, role) is not None
  except ValueError:
    return False
