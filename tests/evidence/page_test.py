import dataclasses
import pathlib
import re

import pytest

from bnnjax.evidence import experiment, page, verdict
from bnnjax.evidence.experiment import AtEqualCost
from bnnjax.evidence.results import Results
from bnnjax.report import reading
from tests.evidence.conftest import EXPERIMENT

ROOT = pathlib.Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
NAMES = sorted(experiment.all_of(EXPERIMENTS))


def tables_of(text):
  """Tables of a page: for each, the number of cells in every line."""
  found, cells = [], []
  for line in [*text.splitlines(), ""]:
    if line.startswith("|"):
      cells.append(line.count("|"))
    elif cells:
      found.append(cells)
      cells = []
  return found


def test_page_by_hand(make):
  text = page.page(make())
  assert "# New or old? (10 training images)" in text
  assert "on `train[10:]` (100 examples), on which no run trains" in " ".join(
    text.split()
  )
  row = next(x for x in text.splitlines() if x.startswith("| `new`"))
  assert row == (
    "| `new` | w1a1 | 81.33 ± 1.15 (n=3) | b | 0.4 (0.1, 0.2, 0.4, 1.2)"
    " | 1,000 | 2,000 | 200 | 60 | 120 |"
  )
  assert "**Verdict: refuted (1 shown, 1 refuted).**" in text
  assert "not run" not in text.replace("*Not run*", "")


def test_a_claim_at_equal_cost_is_shown_network_by_network(make):
  claim = AtEqualCost("old and new", ("old", "new"), ("new, wide", "float"))
  results = make(experiment=dataclasses.replace(EXPERIMENT, also=(claim,)))
  costs = {"old": 1, "new": 100, "new, wide": 10}
  for row in results.experiment.rows:
    for run in results.runs(row):
      run["cost"] = {**run["cost"], "ace": costs.get(row.name, 1000)}
  text = page.page(results)
  assert "| old and new | `new, wide` | 10 | -9.33 [-11.2, -7.44] |" in text
  assert "| old and new | `float` | 1,000 | outside |" in text


def test_cells_without_runs_say_how_long_they_take(make):
  text = page.page(make(rows=("float", "old")))
  assert "- not run: `new`, needs 6 CPU minutes, 6 runs" in text
  assert "- not run: `new, wide`, needs 3 CPU minutes, 3 runs" in text
  assert "**Verdict: not run (2 not run).**" in text


def test_an_experiment_without_records_has_a_page(make):
  assert "No row has all its seeds yet." in page.page(make(rows=()))


@pytest.mark.parametrize("name", NAMES)
def test_committed_pages(name, monkeypatch):
  """Pages are fresh, rectangular, and have every cell of their experiment."""
  monkeypatch.chdir(ROOT)
  made = experiment.load(name)
  results = Results.of(name, made, EXPERIMENTS / "results")
  text = (EXPERIMENTS / f"{name}.md").read_text()
  remedy = f"run `bnnjax reproduce {name} --from-records`"
  assert page.page(results) == text, remedy
  assert all(len(set(cells)) == 1 for cells in tables_of(text))
  for row in made.rows:
    shown = f"| `{row.name}` |" in text
    assert shown == results.is_shown(row), row.name
    assert shown != (f"- not run: `{row.name}`, needs" in text), row.name
  # What a page shows has its seeds.
  assert set(re.findall(r"\(n=(\d+)\)", text)) <= {str(made.seeds)}
  assert made.seeds >= 3


@pytest.mark.parametrize("name", NAMES)
def test_committed_records_follow_the_protocol(name, monkeypatch):
  monkeypatch.chdir(ROOT)
  results = Results.of(name, experiment.load(name), EXPERIMENTS / "results")
  sizes = set()
  for row in results.experiment.rows:
    for record in results.runs(row):
      assert record["config"]["data"]["eval_split"] == "test"
      sizes.add(record["examples"]["train"])
    for record in results.all_tried(row):
      data = record["config"]["data"]
      trained = re.fullmatch(r"train\[:(\d+)\]", data["train_split"])
      held_out = re.fullmatch(r"train\[(\d+):\]", data["eval_split"])
      assert int(trained[1]) <= int(held_out[1])
      sizes.add(record["examples"]["train"])
  assert len(sizes) <= 1, "one training size per experiment"


@pytest.mark.parametrize("name", NAMES)
def test_committed_records_are_what_their_names_say(name, monkeypatch):
  """Rate, seed and training split; the config of the row; committed code."""
  monkeypatch.chdir(ROOT)
  results = Results.of(name, experiment.load(name), EXPERIMENTS / "results")
  for row in results.experiment.rows:
    choices, final = results.all_tried(row), results.runs(row)
    for record in (*choices, *final):
      config, called = record["config"], record["name"]
      assert f"-lr={config['optim']['lr']:g}-" in called
      assert record["seed"] == config["seed"]
      assert not (record["commit"] or "").endswith("-dirty"), called
    assert {record["seed"] for record in choices} <= {0}
    assert len({record["seed"] for record in final}) == len(final)
  results.check_configs()  # no stale records


def test_every_committed_record_belongs_to_a_row(monkeypatch):
  """So no figure holds a run outside of the protocol."""
  monkeypatch.chdir(ROOT)
  of_rows = set()
  for name in NAMES:
    results = Results.of(name, experiment.load(name), EXPERIMENTS / "results")
    for row in results.experiment.rows:
      of_rows |= {record["id"] for record in results.runs(row)}
  records, _ = reading.read([EXPERIMENTS / "results"])
  stray = [r["name"] for r in records if r["id"] not in of_rows]
  assert not stray


def test_the_index_is_fresh(monkeypatch):
  monkeypatch.chdir(ROOT)
  text = page.index(EXPERIMENTS / "results", pathlib.Path("experiments"))
  assert (EXPERIMENTS / "README.md").read_text() == text
  words = (verdict.SHOWN, verdict.REFUTED, verdict.NOT_SHOWN, verdict.NOT_RUN)
  lines = [x for x in text.splitlines() if x.startswith("| [")]
  assert len(lines) == len(NAMES)
  assert all(any(x.endswith(f" {w} |") for w in words) for x in lines)
