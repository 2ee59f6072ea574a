"""ReSTE: a power function between the identity and the sign.

Estimator Meets Equilibrium Perspective: A Rectified Straight Through Estimator
for Binary Neural Networks Training, Wu et al., ICCV 2023, arXiv:2308.06689. One
scale per layer, differentiated. The constants `t` and `m` are those of the
released code. The paper's indicators are in `bnnjax.core.diagnostics`, and a
run with `config.diagnostics` logs them at the power of the step.
`configs/cifar10_resnet.py` has the recipe, and the model `resnet` the network
(`layout="reste"`, `head_norm`).
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import POSITIVE, Real
from bnnjax.core.method import Preset, method

_O = "o=quarter_cosine(start=1.0, end=3.0)"


@estimator()
def reste(
  x, *, o: Real(1, 100) = 3.0, t: POSITIVE = 1.5, m: Real(1e-4, 1e4) = 0.1
):
  """Sign with the derivative of `sign(x) |x|^(1/o)`, rectified (eq. 6 and 7).

  Forward: `sign(x)`. Backward, with `r = |x|`: `dx = dy m^(1/o - 1)` where
  `r <= m` (a secant, as the derivative is infinite at 0), `dy r^(1/o - 1) / o`
  where `m < r <= t`, else 0. In training `o` grows from 1 to 3.

  Args:
    x: latent tensor `[...]`.
    o: power; 1 is the clipped identity.
    t: half-width of the window.
    m: half-width of the secant.
  """
  r = jnp.abs(x)
  # The power of r is infinite at 0. On CPU, three times as fast as `**`.
  power = jnp.exp((1 / o - 1) * jnp.log(jnp.maximum(r, m)))
  slope = power / jnp.where(r <= m, 1, o)
  return jnp.where(r <= t, slope, 0)


method(
  "reste",
  paper="ReSTE, Wu et al., ICCV 2023",
  arxiv="2308.06689",
  weight=Preset(f"reste({_O})|tensor_l1", (("gradient", "full"),)),
  act=f"reste({_O})",
)
