"""Names, types, ranges and times that a config gets wrong."""

import pytest

from bnnjax import config as config_lib
from bnnjax.train import config_check


def config(**groups):
  made = config_lib.base()
  made.model = {"name": "mlp"}
  made.data.update(shape=(4, 4, 1), num_classes=3)
  plain = made.to_dict()
  for name, value in groups.items():
    if isinstance(value, dict) and isinstance(plain[name], dict):
      plain[name] |= value
    else:
      plain[name] = value
  return plain


@pytest.mark.parametrize(
  ("groups", "message"),
  [
    ({"seed": 2**32}, "'seed' must be at most 4294967295, got 4294967296"),
    ({"data": {"eval_batch_size": 2**31 - 1}}, "must be at most 16777216"),
    ({"data": {"threads": 2**31 - 1}}, "'data.threads' must be at most 1024"),
    ({"data": {"shape": (4, 4, True)}}, "'data.shape' must hold ints above 0"),
    ({"stages": ({"until": 1.0, "model": 3},)}, "`model` of a stage is a dict"),
    ({"stages": ({"until": 1.0, "optim": 3},)}, "`optim` of a stage is a dict"),
    ({"steps": 2**31}, "'steps' must be at most 2147483647, got"),
    ({"optim": {"lr": 1e39}}, r"'optim.lr' must be at most 3.4.*got 1e\+39"),
    ({"optim": {"lr": True}}, "'optim.lr' is a number, got True"),
    ({"optim": {"lr": float("nan")}}, "'optim.lr' must be above 0 and finite"),
    ({"optim": {"options": {"b2": 3}}}, r"`optim.options.b2` of adam.*got 3"),
    ({"optim": {"latent": {"options": {"b2": -2}}}}, "b2` of adam.*got -2"),
    ({"optim": {"name": "adamm"}}, "Unknown optimizer 'adamm'. Did you mean"),
    ({"optim": {"latent": {"lr": -1.0}}}, "In `optim.latent`: .*'optim.lr'"),
    ({"optim": {"latent": {"warmup": "1"}}}, "In `optim.latent`: .*a float"),
    ({"model": {"hidden": (2147483648,)}}, "model.hidden' must be at most"),
    ({"model": {"hidden": float("nan")}}, "model.hidden' must be a number"),
    ({"data": {"shape": (4.5, 4, 1)}}, "'data.shape' must hold ints above 0"),
    ({"data": {"options": {"size": 1 << 40}}}, "data.options.size' must be"),
    ({"stages": ({"until": 1.0, "restart": 1},)}, "`restart` of a stage is"),
    (
      {"stages": ({"until": 1.0, "model": {"hidden": (1 << 31,)}},)},
      "'stages.model.hidden' must be at most",
    ),
  ],
)
def test_out_of_range(groups, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(config(**groups))


@pytest.mark.parametrize(
  ("task", "model", "vocab", "message"),
  [
    ({"mask": 64}, "bert", 64, "`task.mask` is 64, but the vocabulary has 64"),
    ({"cls": 101, "sep": 102}, "bert", 64, "`task.cls` is 101"),
    (
      {"distill": {"teacher": "x", "match": {"keys": "mse"}, "ignore_padding": 1 > 0}},
      "vit",
      0,
      "`distill.ignore_padding` is for texts, but the data are images",
    ),
  ],
)  # fmt: skip
def test_task_settings_that_mean_nothing_for_the_data(
  task, model, vocab, message
):
  name = "masked_lm" if vocab else "classification"
  shape = (8,) if vocab else (8, 8, 1)
  made = config(
    data={"shape": shape, "vocab": vocab}, task={"name": name, **task}
  )
  made["model"] = {"name": model}
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(made)


def test_the_largest_values_are_taken():
  got = config_lib.resolve(
    config(seed=2**32 - 1, steps=2**31 - 1, model={"hidden": (2**31 - 1,)})
  )
  assert got.seed == 4294967295


@pytest.mark.parametrize(
  ("groups", "message"),
  [
    ({"model": {"name": ""}}, "Config field 'model.name' is not set"),
    ({"task": {"name": ""}}, "Config field 'task.name' is not set"),
    ({"task": {"name": "clasification"}}, "Did you mean 'classification'"),
    ({"task": {"name": "masked_lm"}}, "needs a model with the argument `vocab`"),
    (
      {"task": {"name": "language_modeling"}, "model": {"name": "bert"}},
      "needs a model that reads from left to right, .*: 'bert' does not",
    ),
    ({"data": {"shape": (4,), "vocab": 9, "num_classes": 0}},
     "'data.num_classes' must be above 0 for the task 'classification', got 0"),
    ({"data": {"vocab": 9}}, r"of a text \(`data.vocab` is 9\) must be \(tokens,"),
  ],
)  # fmt: skip
def test_parts_that_do_not_fit(groups, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(config(**groups))


NEEDED = [
  (0, {"init_steps": 1}),
  (50, {"init_steps": 1, "learn_hash": 3}),
  (80, {"learn_hash": 2}),
]


FIRST = (9, "init_steps")


def times(*events, steps=100, required=NEEDED, **model):
  made = config_lib.base()
  made.events = events
  made.model = {"name": "mlp", **model}
  return config_check.check_times(made, steps, required)


def test_events_in_the_order_of_their_steps():
  assert times((0.75, "learn_hash"), FIRST, (0.5, "learn_hash")) == [
    (9, "init_steps"), (50, "learn_hash"), (75, "learn_hash")
  ]  # fmt: skip
  assert times(required=[(0, {})], quant_start=99) == []


@pytest.mark.parametrize(
  ("events", "given", "message"),
  [
    ((), {}, r"needs the event 'init_steps' \(until"),
    ((FIRST,), {}, "needs the event 'learn_hash' at step 50 or later"),
    ((FIRST, (49, "learn_hash")), {}, "the event 'learn_hash' at step 50"),
    ((), {"required": [(0, {"mine": 1})]}, r"'mine' \(until then .*\(0.0625, "),
    (((0.5, "learn_hsh"),), {}, "Unknown event 'learn_hsh'. Did you mean"),
    (((100, "learn_hash"),), {}, "before event 'learn_hash' at 100"),
    (
      (),
      {"required": [], "quant_start": 100},
      "ends after 100 steps, before `model.quant_start` at 100",
    ),
    ((3,), {}, r"An event is \(when, name\), got 3"),
  ],
)
def test_times_that_cannot_be_meant(events, given, message):
  with pytest.raises(ValueError, match=message):
    times(*events, **given)
