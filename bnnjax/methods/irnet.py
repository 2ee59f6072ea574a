"""IR-Net: standardized weights and an estimator that sharpens over the run.

Forward and Backward Information Retention for Accurate Binary Neural Networks,
Qin et al., CVPR 2020, arXiv:1909.10788. Weights: `s sign(w^)` with `w^`
standardized per output channel and `s` the power of two nearest to `mean |w^|`
(Libra-PB, eq. 6 and 7); the scale multiplies the gradient, mean and deviation
are differentiated. Unlike the authors' code, 1e-12 is added to the variance, so
that a constant channel stays finite. `configs/cifar10_resnet.py` has the recipe
of ResNet-20, and the model `resnet` the network (`layout="irnet"`, `head_norm`).
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Real
from bnnjax.core.method import Preset, method

STEEP = Real(1e-4, 1e4)
# Tmin = 0.1 in the paper and the VGG trainer; the ResNet-20 trainer has 0.001.
_T = "t=geometric(start=0.1, end=10.0)"


@estimator()
def ede(x, *, t: STEEP = 10.0, k: Real(0, 1e4, none=True) = None):
  """Sign with an annealed tanh (error decay estimator, eq. 10).

  Forward: `sign(x)`. Backward: `dx = dy k t (1 - tanh(t x)^2)`. In training
  `t(f) = Tmin (Tmax / Tmin)^f`.

  Args:
    x: latent tensor `[...]`.
    t: steepness.
    k: factor; `None` is `max(1 / t, 1)`: the peak is 1 while t < 1.
  """
  if k is None:
    k = jnp.maximum(1 / t, 1)
  # 1 / cosh^2; 1 - tanh^2 would lose digits.
  e = jnp.exp(-2 * jnp.abs(t * x))
  return k * t * 4 * e / jnp.square(1 + e)


method(
  "irnet",
  paper="IR-Net, Qin et al., CVPR 2020",
  arxiv="1909.10788",
  weight=Preset(
    f"standardize(eps=1e-12) > ede({_T})|channel_l1(pow2=True)",
    (("gradient", "multiply"),),
  ),
  act=f"ede({_T})",
)
