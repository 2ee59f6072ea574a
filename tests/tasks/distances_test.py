"""Formulas of distillation against the authors' code, and at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax.tasks import distances
from bnnjax.tasks.distillation import Distillation
from tests import golden_cases


def arrays(file):
  with np.load(golden_cases.FOLDER / file) as loaded:
    return dict(loaded)


def layers(stem, values):
  """`stem0, stem1, ...` as far as they go."""
  names = (f"{stem}{n}" for n in range(len(values)))
  return [jnp.asarray(values[n]) for n in names if n in values]


def close(got, want, what):
  """The tolerance of the files: 1e-5 of the largest entry."""
  scale = max(np.abs(want).max(), 1e-3)
  np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * scale, err_msg=what)


def class_mean(logits, teacher):
  p = jax.nn.softmax(teacher)
  return jnp.mean(distances.soft_cross_entropy(logits, p)) / logits.shape[-1]


@pytest.mark.golden
def test_bibert_direction_matching():
  values = arrays("bibert_dmd.npz")
  student, teacher = layers("s", values), layers("t", values)

  def loss(student):
    return distances.direction(
      [distances.without_masked(x) for x in student],
      [distances.without_masked(x) for x in teacher],
    )

  got, grads = jax.value_and_grad(loss)(student)
  close(got, values["dmd"], "loss")
  for n, grad in enumerate(grads):
    close(grad, values[f"g{n}"], f"g{n}")


@pytest.mark.golden
def test_bibert_hidden_states():
  values = arrays("bibert_dmd.npz")
  got, grad = jax.value_and_grad(distances.direction_distance)(
    jnp.asarray(values["rep.s"]), jnp.asarray(values["rep.t"])
  )
  close(got, values["rep.loss"], "loss")
  close(grad, values["rep.g"], "gradient")


@pytest.mark.golden
def test_bibert_soft_cross_entropy():
  values = arrays("bibert_dmd.npz")
  got, grad = jax.value_and_grad(class_mean)(
    jnp.asarray(values["logits.s"]), jnp.asarray(values["logits.t"])
  )
  close(got, values["soft_ce"], "loss")
  close(grad, values["logits.g"], "gradient")


@pytest.mark.golden
def test_bipft_total():
  """L_real is a constant of the file: it has no gradient."""
  values = arrays("bipft_kd.npz")
  student = {"nsp": jnp.asarray(values["s.nsp"]), "h": layers("s.h", values)}
  teacher = {"nsp": jnp.asarray(values["t.nsp"]), "h": layers("t.h", values)}
  recipe = Distillation({"teacher": "x", "preset": "bipft"})

  def loss(student):
    s, t = ((x["nsp"], {"hidden_states": x["h"]}) for x in (student, teacher))
    return jnp.mean(recipe.loss(jnp.asarray(values["real_loss"]), s, t))

  total, grads = jax.value_and_grad(loss)(student)
  close(distances.mse(student["h"], teacher["h"]), values["rep"], "rep")
  close(class_mean(student["nsp"], teacher["nsp"]), values["cls"], "cls")
  close(total, values["total"], "total")
  close(grads["nsp"], values["g.nsp"], "g.nsp")
  for n, grad in enumerate(grads["h"]):
    close(grad, values[f"g.h{n}"], f"g.h{n}")


@pytest.mark.golden
def test_bibert_relations_of_the_attention_layer():
  """From the projections, in numpy; padding takes part (no mask is added)."""
  values = arrays("bibert_attention.npz")
  heads = int(values["hp.heads"])
  row = lambda w: w.mean(1, keepdims=True)  # noqa: E731
  x = np.sign(values["x"])
  for name in ("query", "key", "value"):
    w = values[f"param.attention.self.{name}.weight"]
    low = row(np.abs(w)) * np.sign(w - row(w))
    y = x @ low.T + values[f"param.attention.self.{name}.bias"]
    y = y.reshape(*y.shape[:2], heads, -1)
    got = distances.relation(jnp.asarray(y))
    close(got, values[f"att.{name}_scores"], name)


@pytest.mark.parametrize("per_example", [False, True])
@pytest.mark.parametrize("kind", ["student", "teacher", "both", "equal"])
def test_direction_distance_is_finite_where_norms_vanish(kind, per_example):
  x = jnp.arange(1.0, 9.0).reshape(2, 4)
  s = jnp.zeros_like(x) if kind in ("student", "both") else x
  t = jnp.zeros_like(x) if kind in ("teacher", "both") else x
  value, grad = jax.value_and_grad(distances.direction_distance)(
    s, t, per_example=per_example
  )
  np.testing.assert_allclose(value, float(kind in ("student", "teacher")))
  assert np.isfinite(grad).all()
  assert np.abs(grad).max() <= 1


def test_direction_per_example_does_not_see_the_rest_of_the_batch():
  s, t = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
  want = []
  for a, b in zip(s, t):
    d = a / np.linalg.norm(a) - b / np.linalg.norm(b)
    want.append(np.linalg.norm(d))
  got = distances.direction_per_example([s, 9 * s], [t, t])
  np.testing.assert_allclose(got, 2 * np.mean(want), rtol=1e-5)
  whole = s / np.linalg.norm(s) - t / np.linalg.norm(t)
  got = distances.direction([s], [t])
  np.testing.assert_allclose(got, np.linalg.norm(whole), rtol=1e-5)


def test_features_without_padding():
  x = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
  tokens = jnp.array([[1, 1, 1, 0], [1, 1, 0, 0]], bool)
  got = distances.features("queries", x, tokens)
  whole = distances.features("queries", x)
  np.testing.assert_array_equal(got[0, :, 3, :], 0)
  np.testing.assert_array_equal(got[0, :, :, 3], 0)
  np.testing.assert_allclose(got[0, :, :3, :3], whole[0, :, :3, :3], rtol=1e-6)
  hidden = distances.features("hidden_states", x[:, :, 0], tokens)
  np.testing.assert_array_equal(hidden[1, 2:], 0)
  np.testing.assert_array_equal(hidden[1, :2], x[1, :2, 0])


def test_large_negative_relations_count_as_masked_hidden_states_do_not():
  x = jnp.array([-11.0, 11.0]).reshape(1, 2, 1, 1)
  got = distances.features("keys", x)
  np.testing.assert_array_equal(got[0, 0], [[121.0, 0], [0, 121.0]])
  hidden = jnp.full((1, 2, 3), -200.0)
  np.testing.assert_array_equal(
    distances.features("hidden_states", hidden), hidden
  )
