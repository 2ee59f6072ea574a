import jax.numpy as jnp
import numpy as np
import pytest

from bnnjax import config as config_lib
from bnnjax.train import optim

PARAMS = {
  "kernel": jnp.full((2, 2), 0.9),
  "head": jnp.full((2, 2), 0.9),
  "bias": jnp.full((2,), 0.9),
}
KINDS = {"kernel": "latent", "head": "float", "bias": "float"}
ZEROS = {k: jnp.zeros_like(v) for k, v in PARAMS.items()}


def settings(**changes):
  base = config_lib.base().optim.to_dict()
  return {**base, "name": "sgd", "lr": 1.0, "schedule": "constant", **changes}


def step(grads=ZEROS, **changes):
  optimizer = optim.make_optimizer(settings(**changes), 10, KINDS)
  updates, _ = optimizer.update(grads, optimizer.init(PARAMS), PARAMS)
  return {k: float(np.ravel(PARAMS[k] + updates[k])[0]) for k in PARAMS}


def test_decay_leaves_vectors_alone():
  np.testing.assert_allclose(
    list(step(weight_decay=0.1).values()), [0.81, 0.81, 0.9], rtol=1e-6
  )


def test_latent_weights_need_not_decay():
  got = step(weight_decay=0.1, decay_latent=False)
  np.testing.assert_allclose(list(got.values()), [0.9, 0.81, 0.9], rtol=1e-6)


def test_decoupled_decay():
  got = step(name="adamw", weight_decay=0.1, decay_latent=False)
  np.testing.assert_allclose(list(got.values()), [0.9, 0.81, 0.9], rtol=1e-6)


def test_only_latent_weights_are_clipped():
  grads = {k: -jnp.ones_like(v) for k, v in PARAMS.items()}
  got = step(grads, latent_clip=1.25)
  np.testing.assert_allclose(list(got.values()), [1.25, 1.9, 1.9], rtol=1e-6)


def test_scales_of_binarizers_do_not_decay():
  kinds = dict(KINDS, head="binarizer")
  rule = optim.make_optimizer(settings(weight_decay=0.1), 10, kinds)
  updates, _ = rule.update(ZEROS, rule.init(PARAMS), PARAMS)
  assert float(np.abs(updates["head"]).max()) == 0
  assert float(np.abs(updates["kernel"]).max()) > 0


def test_binary_weights_are_flipped_by_bop():
  kinds = dict(KINDS, kernel="binary")
  params = dict(PARAMS, kernel=jnp.array([[1.0, -1.0], [1.0, -1.0]]))
  grads = dict(ZEROS, kernel=jnp.array([[1.0, 1.0], [-1.0, -1.0]]))
  rule = optim.make_optimizer(
    settings(bop={"gamma": 1.0, "threshold": 0.5}), 10, kinds
  )
  updates, _ = rule.update(grads, rule.init(params), params)
  got = params["kernel"] + updates["kernel"]
  np.testing.assert_array_equal(got, [[-1, -1], [1, 1]])


def test_latent_weights_can_be_projected():
  """XNOR-Net centres them over their inputs and clamps them."""
  params = dict(PARAMS, kernel=jnp.array([[3.0, 0.25], [0.5, -0.25]]))
  rule = optim.make_optimizer(settings(projection="center_clamp"), 10, KINDS)
  updates, _ = rule.update(ZEROS, rule.init(params), params)
  got = params["kernel"] + updates["kernel"]
  np.testing.assert_allclose(got, [[1.0, 0.25], [-1.0, -0.25]], rtol=1e-6)
  assert float(np.abs(updates["head"]).max()) == 0


def test_latent_weights_can_have_their_own_settings():
  grads = {k: jnp.ones_like(v) for k, v in PARAMS.items()}
  got = step(grads, latent={"lr": 0.1})
  np.testing.assert_allclose(list(got.values()), [0.8, -0.1, -0.1], atol=1e-6)
  got = step(grads, latent={"name": "adam", "lr": 0.1}, weight_decay=0.0)
  np.testing.assert_allclose(list(got.values()), [0.8, -0.1, -0.1], atol=1e-5)


def test_schedules():
  make = lambda **kw: optim.make_schedule(settings(lr=2.0, **kw), 100)  # noqa: E731
  ramp = make(schedule="cosine", warmup=0.1)
  np.testing.assert_allclose(
    [ramp(0), ramp(5), ramp(10), ramp(55), ramp(100)],
    [0, 1, 2, 1, 0],
    atol=1e-6,
  )
  line = make(schedule="linear", decay_until=50, end_lr=1.0)
  np.testing.assert_allclose(
    [line(0), line(25), line(50), line(99)], [2, 1.5, 1, 1]
  )


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"name": "sdg"}, "Unknown optimizer 'sdg'. Did you mean 'sgd'"),
    ({"schedule": "liner"}, "Did you mean 'linear'"),
    (
      {"schedule": "linear", "warmup": 0.6, "decay_until": 0.5},
      r"warmup` \(6 steps\) must end before",
    ),
    ({"projection": "centre_clamp"}, "Did you mean 'center_clamp'"),
    ({"latent": {"rl": 1}}, "field of `optim.latent` 'rl'"),
    ({"options": {"momentun": 0.9}}, "`optim.options` of sgd.*momentun"),
    ({"latent": {"grad_clip": 1.0}}, "Nothing reads `optim.latent.grad_clip`"),
    ({"latent": {"latent_clip": 0.0}}, "reads `optim.latent.latent_clip`"),
    ({"latent": {"projection": ""}}, "reads `optim.latent.projection`"),
    ({"end_lr": 0.1}, "Nothing reads `optim.end_lr` with the schedule 'const"),
    ({"decay_until": 0.5}, "Nothing reads `optim.decay_until` with"),
    (
      {"schedule": "linear", "decay_until": 1e30},
      "is step 1000000.*after the 10 steps of the run",
    ),
    ({"schedule": "cosine", "decay_until": 11}, "is step 11, after the 10"),
  ],
)
def test_errors(changes, message):
  with pytest.raises(ValueError, match=message):
    step(**changes)


def test_latent_fields_may_be_read_there_alone():
  """`end_lr` serves the latent weights' cosine, not the others' constant."""
  rule = optim.make_optimizer(
    settings(end_lr=0.5, latent={"schedule": "cosine"}), 10, KINDS
  )
  grads = {k: jnp.full_like(v, -1.0) for k, v in PARAMS.items()}
  state = rule.init(PARAMS)
  for _ in range(11):
    updates, state = rule.update(grads, state, PARAMS)
  # At step 10 of 10 the cosine has reached its end.
  got = {k: float(np.ravel(v)[0]) for k, v in updates.items()}
  np.testing.assert_allclose(got["kernel"], 0.5, rtol=1e-6)
  np.testing.assert_allclose(got["head"], 1.0, rtol=1e-6)


@pytest.mark.parametrize(
  ("changes", "names"),
  [
    ({}, {"lr"}),
    ({"latent": {"name": "sgd"}}, {"lr"}),
    ({"latent": {"lr": 0.5}}, {"lr", "lr_latent"}),
    ({"latent": {"schedule": "constant"}}, {"lr", "lr_latent"}),
  ],
)
def test_rates_are_what_the_optimizer_uses(changes, names):
  """Of the steps of a stage that restarts at step 3 of the run."""
  given = settings(schedule="linear", warmup=2, end_lr=0.1, **changes)
  rule = optim.make_optimizer(given, 6, KINDS)
  rates = optim.rates(given, 6, KINDS, began=3)
  grads = {k: jnp.full_like(v, -1.0) for k, v in PARAMS.items()}
  state = rule.init(PARAMS)
  for number in range(3, 9):
    updates, state = rule.update(grads, state, PARAMS)
    got = rates(number)
    assert set(got) == names
    np.testing.assert_allclose(got["lr"], updates["head"][0, 0], rtol=1e-6)
    latent = got.get("lr_latent", got["lr"])
    np.testing.assert_allclose(latent, updates["kernel"][0, 0], rtol=1e-6)


def test_latent_rates_are_of_latent_weights():
  given = settings(latent={"lr": 0.5})
  assert set(optim.rates(given, 6, {"head": "float"})(0)) == {"lr"}
