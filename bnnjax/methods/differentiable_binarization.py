"""Differentiable Binarization: a steep sigmoid in the place of a step.

Real-time Scene Text Detection with Differentiable Binarization, Liao et al.,
AAAI 2020, arXiv:1911.08947. Training uses the sigmoid, the deployed network the
step. The threshold is trained: here one number per channel (the transform
`shift`), in a segmentation head a map (`db_step(p - t, soft=1.0)`).
"""

import jax
import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Real
from bnnjax.core.method import method


def _step(x, *, k, soft):
  if isinstance(soft, float):  # deployed: compute one branch alone
    return jax.nn.sigmoid(k * x) if soft > 0 else x >= 0
  return jnp.where(soft > 0, jax.nn.sigmoid(k * x), x >= 0)


@estimator(alphabet=(0, 1), forward=_step, deployed={"soft": 0.0})
def db_step(x, *, k: Real(1e-4, 1e4) = 50.0, soft: Real(0, 1) = 0.0):
  """Step to {0, 1} with the derivative of a steep sigmoid (eq. 2 and 3).

  Forward: `1[x >= 0]`, or `b = 1 / (1 + exp(-k x))` where `soft > 0`. Backward:
  `dx = dy k b (1 - b)`. With `x = P - T` the gradient of the threshold map `T`
  is the negative one.

  Args:
    x: probability minus threshold `[...]`.
    k: steepness.
    soft: whether the forward pass is the sigmoid. The preset switches it from 1
      to 0 at the very end, so that only the deployed network has the step.
  """
  del soft
  b = jax.nn.sigmoid(k * x)
  return k * b * (1 - b)


method(
  "differentiable_binarization",
  paper="Differentiable Binarization, Liao et al., AAAI 2020",
  arxiv="1911.08947",
  act="shift > db_step(soft=switch(at=1.0, before=1.0, after=0.0))",
)
