"""Names of fields, and what a person calls a run."""

import math

import pytest

from bnnjax import models, tasks  # noqa: F401 (register)
from bnnjax.core import registry
from bnnjax.errors import UserError
from bnnjax.report import fields
from tests.report.made_records import make


@pytest.mark.parametrize(
  ("path", "value"),
  [
    ("optim.lr", 0.01),
    ("config.optim.lr", 0.01),
    ("model.name", "resnet"),
    ("data.name", "fashion_mnist"),
    ("epochs", 20.0),
    ("seed", 3),
    ("metrics.accuracy", 0.5),
    ("cost.ace", 26500),
    ("cost.macs.w1a1", 900),
    ("versions.jax", "0.10.2"),
    ("wall_seconds", 60.0),
    ("network", "resnet 8"),
    ("method", "ste"),
    ("bits", "w1a1"),
    ("task", "fashion_mnist, train[:10000], 14 x 14"),
    ("optim.ema", None),
    ("cost.nothing", None),
    ("optim.lr.deeper", None),
    ("cpu_seconds", None),
  ],
)
def test_values(path, value):
  assert fields.value(make(seed=3, data={"digest": "x"}), path) == value


def test_a_name_that_no_record_has_is_an_error():
  records = [make(), make(seed=1, changes={"optim.ema": 0.9})]
  for path in ("optim.ema", "optim.lr", "method", "cost.ace", "commit"):
    fields.check(records, path)
  with pytest.raises(UserError, match=r"'optim\.lrr'.*mean 'optim\.lr'"):
    fields.check(records, "optim.lrr")
  with pytest.raises(UserError, match=r"'metrics\.acuracy'.*accuracy'"):
    fields.check(records, "metrics.acuracy")


def test_methods_by_default_are_those_of_the_models():
  for name, wanted in fields.METHODS.items():
    defaults = registry.accepts("model", name).defaults
    assert (defaults["weight"], defaults["act"]) == wanted, name


@pytest.mark.parametrize(
  ("model", "method"),
  [
    ({"name": "vit", "weight": "bivit", "act": "bivit"}, "bivit"),
    ({"name": "mamba", "weight": "bi_mamba", "act": None}, "bi_mamba / float"),
    ({"name": "mamba", "weight": "float"}, "float"),
    ({"name": "pokebnn"}, "pokebnn"),
    ({"name": "pokebnn", "weight": None, "act": None}, "float"),
    ({"name": "mine"}, None),
    ({"name": ["x"], "weight": "a", "act": "b"}, "a / b"),
    (None, None),
  ],
)
def test_methods(model, method):
  assert fields.method(make(changes={"model": model})) == method


@pytest.mark.parametrize(
  ("macs", "bits"),
  [
    ({"w1a1": 10, "w4a4": 20}, "w4a4"),
    ({"w8a8": 20, "w4a4": 20}, "w4a4"),
    ({"w32a32": 5}, "float"),
    ({"w1a32": 5}, "w1a32"),
    ({}, None),
    ({"odd": 3}, None),
    (None, None),
  ],
)
def test_bits(macs, bits):
  assert fields.bits(make(cost={"macs": macs})) == bits


def test_tasks_name_what_must_not_be_pooled():
  base = fields.task(make())
  for path, value, shown in (
    ("data.train_split", "train", "fashion_mnist, train, 14 x 14"),
    (
      "data.eval_split",
      "train[50000:]",
      "fashion_mnist, train[:10000], evaluated on train[50000:], 14 x 14",
    ),
    ("data.shape", [128], "fashion_mnist, train[:10000], 128 tokens"),
    ("task.name", "masked_lm", f"{base}, masked_lm"),
    ("data.options", {"b": 1, "a": "x"}, f"{base}, a = x, b = 1"),
    ("data", {}, None),
  ):
    assert fields.task(make(changes={path: value})) == shown


def test_labels_tell_values_apart():
  assert fields.show(0.01) == "0.01"
  assert fields.show(0.123456789) == "0.123456789"
  assert fields.show(1) == fields.show(1.0) == "1"
  assert fields.show(None) == "not recorded"
  assert fields.show("") == "(empty)"
  assert fields.show([14, 14]) == "14 x 14"


def test_numbers_are_finite():
  cost = {
    "a": 1,
    "b": math.nan,
    "c": math.inf,
    "d": True,
    "e": "1",
    "f": None,
    "g": 10**400,
  }
  record = make(cost=cost)
  found = {k: fields.number(record, f"cost.{k}") for k in cost}
  assert found == {"a": 1} | dict.fromkeys("bcdefg")


def test_headlines_are_those_of_the_tasks():
  for name in registry.registered("task"):
    task = registry.get("task", name)
    assert task.headline in fields.HEADLINES, name
    better = fields.metric(task.headline).higher_is_better
    assert better == task.highest_is_best, name


def test_the_headline_of_records():
  text = make(metrics={"accuracy": 0.5, "loss": 1.7, "bits_per_char": 2.4})
  images = make(metrics={"accuracy": 0.5, "loss": 1.7})
  assert fields.metric_of([text])[::2] == ("bits_per_char", 1)
  found = fields.metric_of([images])
  assert found == ("accuracy", "accuracy, %", 100, True)
  assert found.of(images) == 50
  assert found.of(make(metrics={})) is None
  with pytest.raises(UserError, match="bits_per_char .* and accuracy"):
    fields.metric_of([text, images])
  with pytest.raises(
    UserError, match="none of the metrics.*The records have: f1"
  ):
    fields.metric_of([make(metrics={"f1": 1.0})])
  with pytest.raises(UserError, match="no records"):
    fields.metric_of([])
  with pytest.raises(UserError, match=r"'acuracy'.*'accuracy'"):
    fields.check_metric([images], "acuracy")
  assert fields.metric("flips_per_weight").higher_is_better is None
