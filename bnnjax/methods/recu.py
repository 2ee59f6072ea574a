"""ReCU: standardized weights with clamped tails, which revives dead weights.

ReCU: Reviving the Dead Weights in Binary Neural Networks, Xu et al., ICCV 2021,
arXiv:2103.12369. As in the released code, there is one clamp per layer, not one
per filter. The trained output scale is here a scale of the weights with the
full gradient (the authors draw it from U[0, 1), `learned(init='uniform')`, and
decay it; the preset's starts at 1). Activations are divided by the deviation of
their example, in training only. `configs/cifar10_resnet.py` has the recipe.
"""

import math

import jax
import jax.numpy as jnp

from bnnjax.core.hyper import Real
from bnnjax.core.method import method
from bnnjax.core.transform import standardize, transform


@transform
def recu(x: jax.Array, *, tau: Real(0.5, 1e4, above=True) = 0.99) -> jax.Array:
  """Standardizes each output channel and clamps the tails (eq. 4 and 14).

  Forward: `clip(w1, -Q, Q)` with `w1 = sqrt(8) (w - mean) / sqrt(var + 1e-5)`
  and `Q = -mean|w1| log(2 - 2 tau)`, the quantile `tau` of a Laplace
  distribution. Backward: 1 where `|w1| <= Q`, else 0, then through mean and
  deviation; `Q` is not differentiated. The clamp changes the gradient alone,
  not the sign. In training `tau` grows from 0.85 to 0.99.

  Args:
    x: latent weights `[..., C]`, output channels last.
    tau: quantile, above 0.5; at 1 and above nothing is clamped.
  """
  x = standardize(x, gain=math.sqrt(8.0), eps=1e-5)
  fixed = jax.lax.stop_gradient(x)
  # Without the inner `where` a constant layer would give 0 * inf.
  tail = jnp.where(tau < 1, 2 - 2 * tau, 1.0)
  bound = -jnp.mean(jnp.abs(fixed)) * jnp.log(tail)
  bound = jnp.where(tau < 1, bound, jnp.inf)
  clamped = jnp.clip(fixed, -bound, bound)
  return jnp.where(jnp.abs(fixed) <= bound, x, clamped)


method(
  "recu",
  paper="ReCU, Xu et al., ICCV 2021",
  arxiv="2103.12369",
  weight=(
    "recu(tau=exponential(start=0.85, end=0.99))"
    " > ste(clip=None)|learned(init=1.0)"
  ),
  act="example_std > approx_sign",
)
