import pytest

from bnnjax import config as config_lib


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
    ({"data": {"shape": (4, 4, True)}}, "'data.shape' must be of ints above 0"),
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
    ({"data": {"shape": (4.5, 4, 1)}}, "'data.shape' must be of ints above 0"),
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
      "`distill.ignore_padding` is for texts, the data are images",
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
