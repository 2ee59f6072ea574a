"""BiPer: the sign of a sine of the latent weight.

BiPer: Binary Neural Networks using a Periodic Function, Vargas et al., CVPR
2024, arXiv:2404.01278. The first stage trains with the sine itself, the second
with its sign. The authors restart optimizer, warm-up and learning rate between
the two, and start the second from the best checkpoint of the first. A config
does so by `config.stages`, from the end of the first stage (see
`configs/cifar10_resnet.py` and `configs/fashion_mnist_resnet.py`); latent
weights and output scales are handed on. The preset has one schedule, and
switches after two thirds of the run (600 of 900 epochs). Output scale and
activations are those of ReCU; the authors draw the scale from U[0, 1), the
preset's starts at 1. A latent weight beyond `pi / freq` wraps around.
"""

import jax
import jax.numpy as jnp

from bnnjax.core import registry
from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Real
from bnnjax.core.method import method
from bnnjax.core.numerics import sign


def _wave(x, freq):
  # bfloat16 cannot hold a phase of a few turns.
  return freq * x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _periodic(x, *, freq, stage, at_zero):
  v = jnp.sin(_wave(x, freq))
  return jnp.where(stage < 2, v, sign(v, at_zero)).astype(x.dtype)


@estimator(forward=_periodic, deployed={"stage": 2.0})
def biper(x, *, freq: Real(1e-3, 1e3) = 20.0, stage: Real(1, 2) = 2.0):
  """Sign of a sine, with the sine as surrogate (eq. 4 to 7).

  Forward: `sign(sin(freq x))`, in stage 1 `sin(freq x)`. Backward, both stages:
  `dx = dy freq cos(freq x)`.

  Args:
    x: latent weights `[...]`.
    freq: angular frequency.
    stage: 1 or 2.
  """
  del stage
  return (freq * jnp.cos(_wave(x, freq))).astype(x.dtype)


@registry.register("penalty", "sine")
def sine_penalty(
  w: jax.Array, *, freq: Real(1e-3, 1e3) = 20.0, tau: Real(0) = 0.037
) -> jax.Array:
  """`tau mean(sin(freq w)^2)`, the regularizer of the CIFAR-10 scripts.

  It pulls the sine to 0 and away from its signs, although the paper says that
  it lowers the quantization error. The scripts use it in both stages, with tau
  0.037 and then 0.0468.

  Args:
    w: latent weights of a layer; add the penalties of all layers.
    freq: of the estimator.
    tau: factor.
  """
  return tau * jnp.mean(jnp.square(jnp.sin(_wave(w, freq))))


method(
  "biper",
  paper="BiPer, Vargas et al., CVPR 2024",
  arxiv="2404.01278",
  weight=(
    "biper(stage=switch(at=0.6667, before=1.0, after=2.0))|learned(init=1.0)"
  ),
  act="example_std > approx_sign",
)
