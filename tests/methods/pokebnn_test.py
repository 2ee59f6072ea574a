"""PokeBNN's quantizers, loss, schedule and cost against google/aqt."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnnjax.core.spec import parse
from bnnjax.layers.activations import DPReLU
from bnnjax.tasks.distances import soft_cross_entropy
from bnnjax.train.optim import make_schedule
from tests import golden_cases

FILE = "pokebnn.npz"


def quantizer(bits, unsigned=False):
  """Spec of the estimator for a width."""
  if bits == 1:
    return "half_shift"
  return f"{'unsigned' if unsigned else 'symmetric'}(bits={bits})"


def vjp_of(function, x, gy):
  y, vjp = jax.vjp(function, jnp.asarray(x))
  return y, vjp(jnp.asarray(gy))[0]


@golden_cases.parametrize(FILE, "act")
def test_activations(case):
  bits = int(case.hyper("bits", r"^act(\d)"))
  bound = case.hyper("B", r"_B([\d.]+)")
  spec = quantizer(bits, "positive" in case.name) + f"|fixed(value={bound})"
  y, dx = vjp_of(parse(spec, "act"), case["x"], case["gy"])
  # On the clip's edge and on rounding ties the float decides.
  if "positive" in case.name:
    steps = case["x"] / (bound / 2**bits)
  else:
    steps = case["x"] / (bound / max(2 ** (bits - 1) - 1, 1)) + 0.5
  tie = np.abs(steps - np.round(steps)) < 1e-5
  tie |= np.abs(np.abs(case["x"]) - bound) < 1e-5
  skip = tie if bits > 1 else None
  golden_cases.check(y, case["y"], 1e-5, "y", skip)
  golden_cases.check(dx, case["dx"], 1e-4, "dx", skip)


@golden_cases.parametrize(FILE, "weight")
def test_weights(case):
  bits = int(case.hyper("bits", r"^weight(\d)"))
  binarizer = parse(quantizer(bits) + "|channel_max", "weight")
  y, dw = vjp_of(binarizer, case["w"], case["gy"])
  top = np.max(np.abs(case["w"]), axis=tuple(range(case["w"].ndim - 1)))
  largest = np.abs(case["w"]) == top
  golden_cases.check(y, case["y"], 1e-5, "y")
  golden_cases.check(dw, case["dw"], 1e-4, "dw", largest if bits > 1 else None)


@golden_cases.parametrize(FILE, "dprelu")
def test_dprelu(case):
  bf16 = bool(case.hyper("bf16", default=0))
  layer = DPReLU(case["x"].shape[-1], dtype=jnp.bfloat16 if bf16 else None)
  names = ("bias_x", "bias_y", "neg_slope", "pos_slope")
  graphdef = nnx.graphdef(layer)

  def apply(x, *values):
    return nnx.merge(graphdef, dict(zip(names, values)))(x)

  y, vjp = jax.vjp(
    apply, *map(jnp.asarray, (case["x"], *(case[n] for n in names)))
  )
  grads = vjp(jnp.asarray(case["gy"], y.dtype))
  golden_cases.check(y, case["y"], 3e-2 if bf16 else 1e-4, "y")
  for name, grad in zip(("x", *names), grads):
    golden_cases.check(
      grad, case[f"d{name}"], 5e-2 if bf16 else 1e-4, f"d{name}"
    )


@golden_cases.parametrize(FILE, "kd")
def test_distillation_loss(case):
  probabilities = jnp.asarray(case["teacher_prob"])

  def loss(student):
    return jnp.mean(soft_cross_entropy(student, probabilities))

  value, grad = jax.value_and_grad(loss)(jnp.asarray(case["student"]))
  golden_cases.check(value, case["loss"].reshape(()), 1e-5, "loss")
  golden_cases.check(grad, case["dstudent"], 1e-5, "dstudent")


@golden_cases.parametrize(FILE, "lr")
def test_learning_rate(case):
  """Linear to 0 at epoch 750 of 800, then 0."""
  steps = int(case.hyper("steps_per_epoch")) * 800
  peak = 2e-5 * case.hyper("batch") / 256
  schedule = make_schedule(
    {
      "lr": peak,
      "schedule": "linear",
      "warmup": 0.0,
      "decay_until": 750 / 800,
      "end_lr": 0.0,
    },
    steps,
  )
  got = [schedule(int(s)) for s in case["step"]]
  golden_cases.check(got, case["lr"], 1e-6, "lr")
