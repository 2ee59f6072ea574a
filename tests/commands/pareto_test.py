"""`bnnjax pareto`: what it prints and writes."""

import json
import pathlib

import pytest

from bnnjax.commands import pareto
from tests.report import pareto_records

FILES = [f"pareto.{e}" for e in ("csv", "pdf", "png", "svg", "tex")]


def write(path, *records):
  path.write_text("".join(json.dumps(r) + "\n" for r in records))
  return path


@pytest.fixture
def runs(tmp_path):
  return write(
    tmp_path / "runs.jsonl",
    *pareto_records.make("one", [50, 52]),
    *pareto_records.make("two", [60, 62.1], ace=2000),
  )


def test_it_writes_beside_the_records_and_names_what_it_skips(run, runs):
  other = write(runs.parent / "other.jsonl", {"benchmark": 1})
  status, out, err = run("pareto", runs, other, "--published")
  assert (status, err) == (0, "")
  assert f"{other} holds no records" in out
  assert "two    w1a1  2  61.05 ± 1.48  2,000" in out
  written = sorted(p.name for p in runs.parent.iterdir())
  assert written == ["other.jsonl", *FILES, "runs.jsonl"]
  assert f"written: {runs.parent / 'pareto.svg'}" in out
  assert "PokeBNN-1.0x" in (runs.parent / "pareto.csv").read_text()


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--axis=acee"], "Did you mean 'ace'"),
    (["--axis=bops", "--published"], "shown against ACE"),
    (["--axis=bops"], "nothing to draw"),
    (["--axis=energy"], "nothing to draw"),
    (["--metric=acuracy"], "Did you mean 'accuracy'"),
    (["--by=model.nam"], "Did you mean 'model.name'"),
    (["--out=nowhere/x"], "there is no folder 'nowhere'"),
    (["--out=a\0"], "must be UTF-8, without NUL"),
    (["missing.jsonl"], "missing.jsonl"),
  ],
)
def test_mistakes_write_nothing(run, runs, arguments, message):
  status, _, err = run("pareto", runs, *arguments)
  assert status == 2
  assert message in " ".join(err.split())
  assert [p.name for p in runs.parent.iterdir()] == ["runs.jsonl"]


def test_no_files(run):
  status, _, err = run("pareto")
  assert status == 2
  assert "Give the files" in err


def test_the_prefix(tmp_path):
  (tmp_path / "a").mkdir()
  (tmp_path / "b").mkdir()
  one, two = str(tmp_path / "a/x.jsonl"), str(tmp_path / "b/x.jsonl")
  beside = tmp_path / "a" / "pareto"
  assert pareto.prefix_of(None, [one]) == beside
  assert pareto.prefix_of(None, [str(tmp_path / "a")]) == beside
  assert pareto.prefix_of(None, [one, two]) == pathlib.Path("pareto")
  assert pareto.prefix_of(str(tmp_path / "a"), [two]) == beside
  assert pareto.prefix_of("p/fig.svg", [one]) == pathlib.Path("p/fig")
  assert pareto.prefix_of("p/v1.2", [one]) == pathlib.Path("p/v1.2")
