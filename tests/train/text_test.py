"""A whole run on text: resume, distillation, errors."""

import jax
import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax.train import datasets, evaluate, loop, runs
from bnnjax.train.plan import Plan
from tests.train.small_runs import changed, killed, tiny_lm, tiny_text


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("finished") / "run"
  return workdir, loop.train(tiny_text(), workdir)


def test_smoke_keeps_the_kind_of_data():
  data = tiny_text().data
  assert (data.name, data.shape, data.vocab) == ("fake_text", (12,), 40)
  assert data.augment == ()


def test_smoke_without_classes_is_one_text():
  data = tiny_lm().data
  assert (data.name, data.num_classes, data.vocab) == ("fake_tokens", 0, 40)
  assert "num_classes" not in data.options


def test_language_models_need_no_classes(tmp_path):
  result = loop.train(tiny_lm(), tmp_path / "run")
  # One character a token, and every token but the first scored.
  np.testing.assert_allclose(
    result.metrics["bits_per_char"],
    result.metrics["loss"] / np.log(2),
    rtol=1e-5,
  )
  assert len(datasets.tokenizer_of(tiny_lm())) == 40


def test_trains_and_counts(finished):
  _, result = finished
  assert np.isfinite(result.metrics["loss"])
  # Four projections, and an MLP four times as wide.
  assert result.report.macs[1, 1] == 12 * (4 * 16 * 16 + 2 * 16 * 64)


def test_evaluate_reads_the_checkpoint(finished):
  workdir, result = finished
  got = evaluate.evaluate(workdir)
  np.testing.assert_allclose(got["loss"], result.metrics["loss"], rtol=1e-5)


def test_a_killed_run_resumes_as_if_it_had_never_stopped(finished, tmp_path):
  killed(tiny_text(), tmp_path / "run", 6)
  result = loop.train(tiny_text(), tmp_path / "run")
  assert not result.resumed
  assert result.metrics == finished[1].metrics


def test_teacher_must_read_the_same_vocabulary(finished):
  def load(config, task="classification"):
    config.task = {"name": task, "distill": {"teacher": str(finished[0])}}
    return runs.load_teacher(Plan(config))

  network, variables = load(tiny_text())
  assert network.abstract.word.table.shape == (40, 16)
  assert jax.tree.leaves(variables)
  other = tiny_text()
  other.data.vocab = 41
  with pytest.raises(ValueError, match=r"differ in `data.vocab`: 40 and 41"):
    load(other)
  for field in ("vocab_file", "tokenizer"):
    other = tiny_text()
    other.data.options[field] = "mine"
    with pytest.raises(
      ValueError,
      match=rf"same vocabulary.*{field}` is '' there and 'mine' here",
    ):
      load(other)
  other = tiny_text()
  other.data.options.lowercase = False
  with pytest.raises(ValueError, match="lowercase` is '' there and False here"):
    load(other)
  other = tiny_text()
  other.model.vocab = 48
  with pytest.raises(ValueError, match=r"differ in `model.vocab`: 40 and 48"):
    load(other, "masked_lm")


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
  config = changed(tiny_text(), changes)
  with pytest.raises(ValueError, match=message):
    loop.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_images_want_a_model_of_images(tmp_path):
  config = config_lib.base()
  config.data.update(shape=(4, 4, 1), num_classes=3)
  config_lib.make_smoke(config)
  config.model = tiny_text().model
  with pytest.raises(ValueError, match=r"'bert' reads text.*\(tokens,\)"):
    loop.train(config, tmp_path / "run")
