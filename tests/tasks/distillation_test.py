"""The `distill` setting, on a transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.core.progress import DEPLOYED, Mode
from bnnjax.layers import intermediates
from bnnjax.layers.intermediates import MATCHED
from bnnjax.models.bert import BERT
from bnnjax.tasks import distances
from bnnjax.tasks.classification import Classification
from bnnjax.tasks.distillation import Distillation

SIZES = {"vocab": 11, "max_len": 5, "features": 12, "blocks": 2, "heads": 3}
TOKENS = jnp.array([[2, 5, 7, 3, 0], [2, 8, 3, 0, 0]])
BATCH = {"tokens": TOKENS, "label": jnp.array([0, 2])}
SHAPE = jax.ShapeDtypeStruct((1, 5), jnp.int32)


def bert(seed=0, **changes):
  return nnx.jit(lambda: BERT(3, **{**SIZES, **changes}, rngs=nnx.Rngs(seed)))()


def abstract(**changes):
  return models.abstract(
    lambda rngs: BERT(3, **{**SIZES, **changes}, rngs=rngs)
  )


@pytest.fixture(scope="module")
def pair():
  return bert(), bert(1, weight=None, act=None)


@nnx.jit
def call(model, tokens):
  return intermediates.call(model, tokens)


def distillation(**settings):
  return Distillation({"teacher": "x", **settings})


def test_bibert_is_the_sum_of_its_parts(pair):
  """softCE (mean over all entries) + 0.5 NLL + L_q + L_k + L_v + L_hid."""
  student, teacher = pair
  task = Classification(distill={"teacher": "x", "preset": "bibert"})
  loss, outputs = nnx.jit(task.loss)(student, BATCH, DEPLOYED, teacher)
  logits, mine = call(student, TOKENS)
  hints, theirs = call(teacher, TOKENS)
  log_p = jax.nn.log_softmax(logits)
  want = -jnp.mean(jax.nn.softmax(hints) * log_p)
  want -= 0.5 * jnp.mean(log_p[jnp.arange(2), BATCH["label"]])
  assert [len(mine[n]) for n in MATCHED] == [3, 2, 2, 2]
  for name in MATCHED:
    for s, t in zip(mine[name], theirs[name]):
      if name != "hidden_states":
        s, t = distances.relation(s), distances.relation(t)
      s, t = s / jnp.linalg.norm(s.ravel()), t / jnp.linalg.norm(t.ravel())
      want += jnp.linalg.norm((s - t).ravel())
  np.testing.assert_allclose(loss, want, rtol=1e-5)
  np.testing.assert_allclose(jnp.mean(outputs["loss"]), loss, rtol=1e-6)


def test_student_learns_teacher_does_not(pair):
  task = Classification(
    distill={"teacher": "x", "weight": 0.0, "match": {"queries": "direction"}}
  )
  graphs, states = zip(*(nnx.split(m, nnx.Param, ...)[:2] for m in pair))
  rests = [nnx.split(m, nnx.Param, ...)[2] for m in pair]

  @jax.jit
  @jax.grad
  def gradients(states):
    s, t = (nnx.merge(*parts) for parts in zip(graphs, states, rests))
    return task.loss(s, BATCH, Mode.training(), t)[0]

  mine, theirs = gradients(states)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(mine))
  assert not any(x.any() for x in jax.tree.leaves(theirs))
  assert (
    np.abs(mine["blocks"][1]["attention"]["query"]["kernel"][...]).max() > 0
  )


def test_weights_of_matches_and_layers(pair):
  student, teacher = pair
  plain = distillation(match={"keys": "mse"})
  scaled = distillation(match={"keys": ("mse", 3.0)})
  s, t = call(student, TOKENS), call(teacher, TOKENS)
  zero = jnp.zeros(2)
  soft = distillation().loss(zero, s, t)
  once = plain.loss(zero, s, t) - soft
  assert (once > 0).all()
  np.testing.assert_allclose(
    scaled.loss(zero, s, t) - soft, 3 * once, rtol=1e-4
  )


def test_padding_is_left_out_on_request(pair):
  student, teacher = pair
  tokens = TOKENS != 0
  with_padding = distillation(preset="bibert")
  without = distillation(preset="bibert", ignore_padding=True)
  s, t = call(student, TOKENS), call(teacher, TOKENS)
  logits, left = s

  def spoilt(name):
    mask = tokens.reshape(2, 5, *(1,) * (left[name][0].ndim - 2))
    return [jnp.where(mask, x, 9.0) for x in left[name]]

  other = logits, {name: spoilt(name) for name in MATCHED}
  zero = jnp.zeros(2)
  np.testing.assert_allclose(
    without.loss(zero, other, t, tokens), without.loss(zero, s, t, tokens)
  )
  changed = with_padding.loss(zero, other, t, tokens)
  assert (changed != with_padding.loss(zero, s, t, tokens)).all()


@pytest.mark.parametrize(
  ("settings", "label", "logit"),
  [
    ({}, 0.0, 1.0),
    ({"weight": 0.25}, 0.75, 0.25),
    ({"label_weight": 0.5}, 0.5, 1.0),
    ({"preset": "bibert"}, 0.5, 1.0),
    ({"preset": "bipft", "logit_weight": 0.0}, 1.0, 0.0),
  ],
)
def test_weights(settings, label, logit):
  got = distillation(**settings)
  assert (got.label_weight, got.logit_weight) == (label, logit)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"label_weight": -1.0}, "`distill.label_weight` must be 0 or above"),
    # What no term of the loss reads.
    (
      {"weight": 0.0, "temperature": 2.0},
      "Nothing reads `distill.temperature`",
    ),
    ({"weight": 0.0, "class_mean": True}, "Nothing reads `distill.class_mean`"),
    ({"preset": "bibert", "weight": 0.5}, "Nothing reads `distill.weight`"),
    ({"ignore_padding": True}, "Nothing reads `distill.ignore_padding`"),
    ({"logit_weight": 0.0}, "leaves nothing to learn"),
    ({"weight": "1"}, r"`distill.weight` must be in \[0, 1\], got '1'"),
    ({"temperature": 0.0}, "`distill.temperature` must be above 0"),
    ({"match": {"queries": ("mse", -1)}}, "must be 0 or above, got -1"),
  ],
)
def test_errors(settings, message):
  with pytest.raises(ValueError, match=message):
    distillation(**settings)


@pytest.mark.parametrize(
  ("match", "changes", "message"),
  [
    ("queries", {"blocks": 3}, "'queries': 3 and 2 layers.*same depth"),
    (
      "hidden_states",
      {"features": 24},
      r"'hidden_states' of layer 0: .* are \(1, 5, 24\) and \(1, 5, 12\)",
    ),
    ("values", {"heads": 2}, r"\(1, 2, 5, 5\) and \(1, 3, 5, 5\).*heads"),
  ],
)
def test_teacher_of_another_shape_is_refused(match, changes, message):
  task = Classification(distill={"teacher": "x", "match": {match: "mse"}})
  with pytest.raises(ValueError, match=message):
    task.check_teacher(abstract(), abstract(**changes), SHAPE)


def test_teacher_may_differ_in_what_is_not_compared():
  """Relations do not see the width of a head."""
  settings = {"teacher": "x", "match": {"queries": "direction"}}
  task = Classification(distill=settings)
  task.check_teacher(abstract(), abstract(features=24), SHAPE)


def test_model_that_leaves_nothing_is_refused():
  mlp = models.abstract(
    lambda rngs: models.build(
      {"name": "mlp"}, rngs=rngs, num_classes=3, image_shape=(4, 4, 1)
    )
  )
  image = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
  task = Classification(distill={"teacher": "x", "match": {"keys": "mse"}})
  with pytest.raises(ValueError, match="'keys', but the layers of the student"):
    task.check_teacher(mlp, mlp, image)
  Classification(distill={"teacher": "x"}).check_teacher(mlp, mlp, image)
