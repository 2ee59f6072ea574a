"""What a page embeds: points, groups, differences, definitions."""

from tests.report.html_pages import data, make, page


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
  own = make()["config"]["data"]["name"]
  assert [name.split(",")[0] for name in names] == [own, "digits"]


def test_costs_of_different_definitions_are_not_to_be_compared():
  record = make(1)
  record["cost"]["definitions"] = {"ACE": "something else"}
  (task,) = data(page(make(0), record))["tasks"]
  assert task["costs"][0].startswith("Do not compare: These runs cannot share")
  (task,) = data(page(make(0)))["tasks"]
  assert task["costs"][0].startswith("ACE: sum of MACs")
