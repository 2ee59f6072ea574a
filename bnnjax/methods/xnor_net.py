"""XNOR-Net: signs scaled by mean magnitudes.

XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks,
Rastegari et al., ECCV 2016, arXiv:1603.05279. Weights have one scale per output
channel (eq. 6); it is detached and does not affect the weight gradient, as in
most code. The scale `K` of the inputs is optional, since batch normalization
follows: `act="ste|example_l1"` (one number per example, BiBench) or
`output="spatial_l1"` (the paper's map). Other conventions are available:
`center > ste|channel_l1` with `gradient="multiply"` is BiBench's linear layer;
`fan_in_gain > ste|channel_l1` with `gradient="full"`, and the projection
`center_clamp`, are XNOR-Net-PyTorch.
"""

import math

import jax
import jax.numpy as jnp

from bnnjax.core import registry
from bnnjax.core.method import method
from bnnjax.core.transform import transform


@registry.register("projection", "center_clamp")
def center_clamp(w: jax.Array, *, bound: float = 1.0) -> jax.Array:
  """Centres latent weights over their inputs and clamps them, after an update.

  `clip(w - mean_i(w), -bound, bound)` with the mean over input channels alone
  (each tap of the window has its own), as in the authors' Torch code and in
  XNOR-Net-PyTorch. A kernel with one input channel (of grey images, or
  depthwise) is clamped alone: centring would make it 0.

  Args:
    w: kernel `[*window, in, out]`.
    bound: half-width of the estimator's window.

  Returns:
    The new kernel.
  """
  if w.shape[-2] > 1:
    w = w - jnp.mean(w, axis=-2, keepdims=True)
  return jnp.clip(w, -bound, bound)


@transform(roles=("weight",))
def fan_in_gain(x: jax.Array) -> jax.Array:
  """Multiplies the gradient of a kernel by `n (1 - 1 / in)`.

  A heuristic of XNOR-Net-PyTorch (and the authors' code); `n` is the number of
  elements of an output channel. Forward: the identity.

  Args:
    x: kernel `[*window, in, out]`.
  """
  gain = math.prod(x.shape[:-1]) * (1 - 1 / x.shape[-2])
  fixed = jax.lax.stop_gradient(x)
  return fixed + gain * (x - fixed)


method(
  "xnor_net",
  paper="XNOR-Net, Rastegari et al., ECCV 2016",
  arxiv="1603.05279",
  weight="ste|channel_l1",
  act="ste",
  projection="center_clamp",
)
