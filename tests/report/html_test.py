"""The HTML page: its size, what it embeds, and hostile text in records."""

import copy
import gzip
import html.parser
import json
import re
import shlex

import pytest

from bnnjax import arguments, errors
from bnnjax.errors import UserError
from bnnjax.report import html as page_lib
from bnnjax.report import page_data, runs
from bnnjax.train import config_file
from bnnjax.train import workdir as workdir_lib

RECORDS = list(runs.load("experiments/results/ablation.jsonl"))
METHODS = ("biper", "bireal", "fda", "float", "irnet", "recu", "reste", "ste")
RUN = (
  "of", "seed", "y", "seconds", "device", "commit", "name", "command",
  "difference",
)  # fmt: skip
GROUP = (
  "task", "network", "method", "bits", "name", "y", "spread", "n", "size",
  "cost", "cpu",
)  # fmt: skip
ODD = (
  "</script><script>alert(1)</script>", "<!-- data -->", "<b>&amp;", "\"'`",
  "\u2028\u2029", "\x00\x1b[31m", "\u202eevil", "\ud800", "<!-- title -->",
)  # fmt: skip


def make(number=0, seed=0, accuracy=0.5):
  """A record as large as those of experiments."""
  record = copy.deepcopy(RECORDS[0])
  method, lr = METHODS[number % len(METHODS)], 0.001 * (1 + number)
  record |= {
    "id": f"{number}-{seed}",
    "name": f"fashion_mnist_resnet-method={method}-seed={seed}",
    "seed": seed,
    "metrics": {"accuracy": accuracy, "loss": 1.0},
    "wall_seconds": 100.0 + number,
  }
  record["config"]["model"] |= {"weight": method, "act": method}
  record["config"]["seed"] = seed
  record["config"]["optim"]["lr"] = lr
  record["cost"]["ace"] = 1000 * (1 + number % 50)
  return record


def page(*records, **options):
  return page_lib.page(runs.Runs(records), **options)


def data(text):
  """What a page embeds, with texts in place of indices into words."""
  found = re.search(r'id="data">(.*?)</script>', text, re.S)
  held = json.loads(found[1], parse_constant=pytest.fail)

  def words(ids):
    return [held["words"][i] for i in (ids if isinstance(ids, list) else [ids])]

  held["runs"] = [dict(zip(RUN, row)) for row in held["runs"]]
  held["groups"] = [dict(zip(GROUP, row)) for row in held["groups"]]
  for row in held["runs"] + held["groups"]:
    for key in row.keys() & {"device", "commit", "name", "command", "method"}:
      row[key] = "".join(words(row[key]))
  for row in held["runs"]:
    row["difference"] = words(row["difference"])
  for group in held["groups"]:
    group["costs"] = [*held["costs"][group["cost"]], group["cpu"]]
  return held


class Tags(html.parser.HTMLParser):
  """The tags of a page, and what its script elements hold."""

  def __init__(self, text):
    super().__init__()
    self.opened, self.references = [], []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.opened.append(tag)
    given = dict(attrs)
    self.references += [
      given[key] for key in ("src", "href", "action") if key in given
    ]


@pytest.mark.parametrize("seeds", [1, 3])
def test_five_hundred_runs_are_small(seeds):
  records = [make(n // seeds, n % seeds, n / 1009) for n in range(500)]
  made = page(*records).encode()
  assert len(made) <= 120_000
  assert len(gzip.compress(made)) <= 40_000
  held = data(made.decode())
  assert len(held["runs"]) == 500
  assert not held["aggregated"]


def test_the_page_needs_nothing_else():
  made = page(make())
  assert made.isascii()
  assert "http" not in made
  assert "@import" not in made
  assert "url(" not in made
  tags = Tags(made)
  assert tags.references == ["data:,"]
  assert tags.opened.count("script") == 2
  assert tags.opened.count("link") == 1


def test_means_are_over_seeds():
  held = data(page(make(0, 0, 0.5), make(0, 1, 0.7), make(1, 0, 0.9)))
  one, other = sorted(held["groups"], key=lambda g: -g["n"])
  assert (one["y"], one["n"], one["size"]) == (60.0, 2, 2)
  assert one["spread"] == pytest.approx(100 * 0.02**0.5)  # of 0.5 and 0.7
  assert one["costs"][:2] == [1000, RECORDS[0]["cost"]["bops"]]
  assert (other["y"], other["spread"], other["n"]) == (90.0, None, 1)
  assert [r["y"] for r in held["runs"] if r["of"] == 1] == [50.0, 70.0]


def test_two_runs_of_one_seed_count_as_one():
  again = make(0, 0, 0.7) | {"id": "again"}
  (group,) = data(page(make(0, 0, 0.5), again, make(0, 1, 0.8)))["groups"]
  assert (group["y"], group["n"], group["size"]) == (70.0, 2, 3)


def test_above_a_number_of_runs_the_page_holds_groups(monkeypatch):
  monkeypatch.setattr(page_data, "MOST", 4)
  made = page(*(make(n % 2, n // 2) for n in range(5)))
  held = data(made)
  assert held["aggregated"]
  assert sorted(group["size"] for group in held["groups"]) == [2, 3]
  assert len(held["runs"]) == 2  # what one run of each group is like
  assert "5 runs are more than the 4 that a page shows" in made


def test_above_a_number_of_configs_the_groups_are_coarser(monkeypatch):
  monkeypatch.setattr(page_data, "MOST", 2)
  records = [make(n % 2) | {"id": str(n), "name": f"x-{n}"} for n in range(5)]
  made = page(*records)
  held = data(made)
  assert sorted(group["size"] for group in held["groups"]) == [2, 3]
  assert held["runs"] == []
  assert "5 runs of 5 configs are more than the 2" in made


def test_of_too_many_groups_the_best_are_shown(monkeypatch):
  monkeypatch.setattr(page_data, "MOST", 2)
  made = page(*(make(n, 0, n / 10) for n in range(1, 5)))
  assert [group["y"] for group in data(made)["groups"]] == [40.0, 30.0]
  assert "Of 4 groups, the 2 best are shown." in made


def test_the_limit_is_two_thousand():
  assert page_data.MOST == 2000


@pytest.mark.parametrize("odd", ODD)
def test_text_of_a_record_is_no_markup(odd):
  record = make() | {"name": odd, "device": odd, "commit": odd}
  record["config"]["model"] |= {"name": odd, "weight": odd, "act": odd}
  record["config"]["data"]["name"] = odd
  record["config"][odd] = odd
  made = page(record, make(1), title=odd)
  plain = page(make(0) | {"name": "plain"}, make(1))
  made.encode("ascii")
  assert Tags(made).opened.count("script") == 2
  assert Tags(made).opened.count("tr") == Tags(plain).opened.count("tr")
  assert set(Tags(made).opened) == set(Tags(plain).opened)
  run = next(run for run in data(made)["runs"] if run["of"] == 0)
  # What a reader cannot see is written out.
  assert run["device"] == errors.one_paragraph(odd)
  assert all(text.isprintable() for text in (run["name"], *run["difference"]))


def test_the_difference_is_to_the_commonest_config():
  records = [make(0, seed) for seed in range(3)] + [make(1)]
  del records[3]["config"]["tensorboard"]  # as if the record were older
  del records[3]["config"]["model"]["layout"]
  seen = data(page(*records))["runs"]
  (odd,) = [run for run in seen if "bireal" in run["name"]]
  assert [r["difference"] for r in seen if r is not odd] == [[], [], []]
  assert odd["difference"] == [
    "model.act = bireal",
    "model.layout = not set",
    "model.weight = bireal",
    "optim.lr = 0.002",
  ]


def test_commands_give_the_configs_of_their_records():
  records = RECORDS[:6]
  seen = data(page(*records))["runs"]
  by_name = {record["name"]: record for record in records}
  assert len(seen) == 6
  for run in seen:
    program, *words = shlex.split(run["command"])
    assert program == "bnnjax"
    args = arguments.parse(words)
    config = config_file.read(args.config, args.overrides)
    made = workdir_lib.to_json(config)
    stored = by_name[run["name"]]["config"]
    for key in ("data", "model", "task", "seed", "stages", "epochs"):
      assert {**made, key: stored[key]} == made or key == "data"
    assert {**made["data"], **stored["data"]} == made["data"]


def test_a_run_whose_command_is_not_known_says_why():
  (run,) = data(page(make() | {"name": "mine"}))["runs"]
  assert run["command"] == (
    "The folder 'configs' has no config file of its name."
  )


def test_no_runs():
  made = page()
  assert "No runs." in made
  assert data(made)["groups"] == []


def test_a_run_without_costs_or_metric():
  bare = make(0) | {"cost": {}}
  other = make(1) | {"metrics": {"flips": 1.0}}
  made = page(bare, other)
  (group,) = data(made)["groups"]
  assert group["costs"] == [None] * 6
  assert "1 run without a headline metric: not shown." in made


def test_a_metric_has_the_direction_of_its_name():
  held = data(page(make(0), make(1), metric="loss"))
  assert [task["higher"] for task in held["tasks"]] == [False]
  assert [group["y"] for group in held["groups"]] == [1.0, 1.0]
  record = make(0)
  record["metrics"] = {"flips": 1.0}
  assert data(page(record, metric="flips"))["tasks"][0]["higher"] is None


def test_tasks_are_apart():
  other = make(1)
  other["config"]["data"]["name"] = "digits"
  held = data(page(make(0, 0), make(0, 1), other))
  names = [task["name"] for task in held["tasks"]]
  assert [name.split(",")[0] for name in names] == [
    "fashion_mnist_mini",
    "digits",
  ]


def test_costs_of_different_definitions_are_not_to_be_compared():
  record = make(1)
  record["cost"]["definitions"] = {"ACE": "something else"}
  (task,) = data(page(make(0), record))["tasks"]
  assert task["costs"][0].startswith("Do not compare: These runs cannot share")
  (task,) = data(page(make(0)))["tasks"]
  assert task["costs"][0].startswith("ACE: sum of MACs")


def test_skipped_lines_are_named(tmp_path):
  path = tmp_path / "r.jsonl"
  path.write_text(json.dumps(make()) + "\n<i>\n")
  made = page_lib.page(runs.load(path))
  assert "r.jsonl, line 2" in made
  assert "<i>" not in made


def test_a_reader_without_script_finds_a_table():
  made = page(make(0, 0, 0.5), make(0, 1, 0.7))
  table = re.search("<noscript>(.*?)</noscript>", made, re.S)[1]
  assert "accuracy, %: 60.00 &#177; 14.14" in table
  assert "<td>1,000" in table


@pytest.mark.parametrize(
  ("options", "message"),
  [({"axis": "aces"}, "Did you mean 'ace'"), ({"metric": "los"}, "'loss'")],
)
def test_names_that_do_not_exist(options, message):
  with pytest.raises(UserError, match=message):
    page(make(), **options)
