"""A whole run on text: resume, distillation, errors."""

import jax
import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax import tasks
from bnnjax.train import evaluate, inputs, loop, setup


def tiny(**model):
  """Eight steps of a BERT of one block."""
  config = config_lib.base()
  config.data.update(shape=(12,), vocab=40, num_classes=3)
  config_lib.make_smoke(config)
  config.steps = 8
  config.log_every = 2
  config.optim.lr = 0.01
  config.model = {
    **{"name": "bert", "features": 16, "heads": 2, "blocks": 1},
    **{"weight": "ste|channel_l1", "act": "ste", **model},
  }
  return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("finished") / "run"
  return workdir, loop.train(tiny(), workdir)


def test_smoke_keeps_the_kind_of_data():
  data = tiny().data
  assert (data.name, data.shape, data.vocab) == ("fake_text", (12,), 40)
  assert data.augment == ()


def lm():
  """Four steps of a decoder of one block, on windows of one text."""
  config = config_lib.base()
  config.data.update(shape=(12,), vocab=40)
  config_lib.make_smoke(config)
  config.task = {"name": "language_modeling"}
  sizes = {"features": 16, "blocks": 1, "heads": 2, "hidden": 32}
  config.model = {"name": "decoder", **sizes}
  return config


def test_smoke_without_classes_is_one_text():
  data = lm().data
  assert (data.name, data.num_classes, data.vocab) == ("fake_tokens", 0, 40)
  assert "num_classes" not in data.options


def test_language_models_need_no_classes(tmp_path):
  result = loop.train(lm(), tmp_path / "run")
  # One character a token, and every token but the first scored.
  np.testing.assert_allclose(
    result.metrics["bits_per_char"],
    result.metrics["loss"] / np.log(2),
    rtol=1e-5,
  )
  assert len(inputs.tokenizer_of(lm())) == 40


def test_data_of_a_language_model():
  config = lm()
  config.data.update(name="plays_mini", vocab=1024)
  config.data.options = {"tokenizer": "bpe", "context": 4}
  config = config_lib.resolve(config)
  train, test = inputs.load_data(config)
  assert train.info.shape == test.info.shape == (12,)
  assert inputs.tokenizer_of(config).pieces == test.tokenizer.pieces


def test_trains_and_counts(finished):
  _, result = finished
  assert np.isfinite(result.metrics["loss"])
  # Four projections, and an MLP four times as wide.
  assert result.report.macs[1, 1] == 12 * (4 * 16 * 16 + 2 * 16 * 64)


def test_evaluate_reads_the_checkpoint(finished):
  workdir, result = finished
  got = evaluate.evaluate(workdir)
  np.testing.assert_allclose(got["loss"], result.metrics["loss"], rtol=1e-5)


def test_killed_run_goes_on_as_if_it_had_never_stopped(
  finished, tmp_path, monkeypatch
):
  def killed(self, state):
    if int(state["step"]) == 6:
      raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(loop.Run, "_check_finite", killed)
    with pytest.raises(KeyboardInterrupt):
      loop.train(tiny(), tmp_path / "run")
  result = loop.train(tiny(), tmp_path / "run")
  assert not result.resumed
  assert result.metrics == finished[1].metrics


def test_length_of_the_texts_is_the_configs():
  config = tiny()
  config.data.update(name="wordnet_mini", vocab=4096, num_classes=26)
  config.data.options = {}
  train, _ = inputs.load_data(config_lib.resolve(config))
  assert train.info.shape == (12,)


def test_teacher_must_read_the_same_vocabulary(finished):
  workdir, _ = finished
  task = tasks.build(
    {"name": "classification", "distill": {"teacher": str(workdir)}}
  )
  network, variables = setup.load_teacher(tiny(), task, ())
  assert network.abstract.word.table.shape == (40, 16)
  assert jax.tree.leaves(variables)
  other = tiny()
  other.data.vocab = 41
  with pytest.raises(ValueError, match=r"differ in `data.vocab`: 40 and 41"):
    setup.load_teacher(other, task, ())
  for field in ("vocab_file", "tokenizer"):
    other = tiny()
    other.data.options[field] = "mine"
    with pytest.raises(
      ValueError,
      match=rf"same vocabulary.*{field}` is '' there and 'mine' here",
    ):
      setup.load_teacher(other, task, ())
  other = tiny()
  other.data.options.lowercase = False
  with pytest.raises(ValueError, match="lowercase` is '' there and False here"):
    setup.load_teacher(other, task, ())
  task = tasks.build(
    {"name": "masked_lm", "distill": {"teacher": str(workdir)}}
  )
  other = tiny()
  other.model.vocab = 48
  with pytest.raises(ValueError, match=r"differ in `model.vocab`: 40 and 48"):
    setup.load_teacher(other, task, setup.plan(other, 1))


def test_a_vocabulary_may_be_padded():
  config = tiny()
  config.model.vocab = 48
  assert setup.network_of(config).abstract.word.table.shape[0] == 48


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"data.shape": (12, 1)}, r"\(tokens,\), e.g. \(128,\): got \(12, 1\)"),
    ({"data.options": {"max_len": 9}}, "`data.vocab` is 40, but 'fake_text' has 128"),
    ({"data.options.max_len": 9}, r"is \(12,\), but tokens of 'fake_text' arrive as \(9,\) \(tokens\)"),
    ({"data.vocab": 41}, "`data.vocab` is 41, but 'fake_text' has 40 entries"),
    ({"data.vocab": -1}, "'data.vocab' must be 0 or above"),
    ({"data": {"name": "plays_mini", "shape": (12,)}}, "'data.num_classes' must be above 0 for the task 'classification', got 0"),
    ({"data.num_classes": 7}, "`data.num_classes` is 7, but 'fake_text' has 3"),
    ({"data.augment": ("flip",)}, r"'fake_text' holds text: .* got \('flip',\)"),
    ({"data.name": "fake", "data.options": {}}, r"`data.vocab` is 40, but 'fake' holds images \(0\)"),
    ({"model": {"name": "mlp"}}, "'mlp' reads images, but the data are text .* 'bert'"),
    ({"model": {"name": "decoder"}}, "'classification' needs a model with the argument `num_classes`"),
    ({"model.vocab": 9}, "`model.vocab` is 9, but the texts have tokens of 40"),
    ({"data.name": "wordnet_min", "data.options": {}}, "Did you mean 'wordnet_mini'"),
  ],
)  # fmt: skip
def test_bad_config_is_refused_before_a_file_is_touched(
  tmp_path, changes, message
):
  config = tiny().to_dict()
  for path, value in changes.items():
    *parents, leaf = path.split(".")
    node = config
    for parent in parents:
      node = node[parent]
    node[leaf] = value
  with pytest.raises(ValueError, match=message):
    loop.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_images_want_a_model_of_images(tmp_path):
  config = config_lib.base()
  config.data.update(shape=(4, 4, 1), num_classes=3)
  config_lib.make_smoke(config)
  config.model = tiny().model
  with pytest.raises(ValueError, match=r"'bert' reads text.*\(tokens,\)"):
    loop.train(config, tmp_path / "run")


def test_the_task_decides_what_is_counted():
  """Masked language modelling scores every token against every entry."""
  config = tiny()
  plain = setup.cost_of(config_lib.resolve(config))
  config.task = {"name": "masked_lm"}
  got = setup.cost_of(config_lib.resolve(config))
  (tokens,), vocab = config.data.shape, config.data.vocab
  features = config.model.features
  head = features * features + features * config.data.num_classes
  assert got.total_macs - plain.total_macs == tokens * features * vocab - head
