"""BiViT: a threshold for the softmax, learned weight scales.

BiViT: Extremely Compressed Binary Vision Transformers, He et al., ICCV 2023,
arXiv:2211.07091. Softmax-aware binarization maps a probability to 1 if it is at
least a quarter of the largest of its row; its gradient is the identity, placed
after the softmax (as in the released module, not its unused autograd function).
Weight scales are trained, start at `mean |w|` and multiply the weight gradient.
Cross-layer binarization (attention first, then also the MLPs) is a list of
stages: see `configs/fashion_mnist_vit.py`.

The context `A v`, a sum of signs, is binarized again before the output
projection, as in the authors' code with the open window (-1, 1). It is an
integer: only an exact 0 passes a gradient, 13 % of the entries for 50 tokens of
random signs, and hardly more for 17. The authors start from ImageNet weights
and train 300 epochs; a short run needs a wider window, such as
`Attention(context="ste(clip=4.0)")`, which passes 86 %. The same zeros are +1
here and 0 in the authors' code (`torch.sign`), whose context therefore is
ternary: `ste(strict=True, at_zero=0)`.
"""

import jax.numpy as jnp

from bnnjax.core.estimator import estimator
from bnnjax.core.hyper import Real
from bnnjax.core.method import Preset, method
from bnnjax.core.numerics import pass_nan


def _above(x, *, beta):
  top = jnp.max(x, axis=-1, keepdims=True)
  value = (x >= beta * top).astype(x.dtype)
  return pass_nan(value, jnp.broadcast_to(top, x.shape))  # of the whole row


@estimator(alphabet=(0, 1), forward=_above)
def softmax_aware(x, *, beta: Real(0, 1) = 0.25):
  """Threshold relative to the largest of a row (eq. 8 and 9).

  Forward: `1[x >= beta max_j x_j]` over the last axis. Backward: `dx = dy`.

  Args:
    x: probabilities `[..., keys]`.
    beta: share of the largest; 0.25 is close to the optimal binary code.
  """
  del beta
  return jnp.ones_like(x)


method(
  "bivit",
  paper="BiViT, He et al., ICCV 2023",
  arxiv="2211.07091",
  weight=Preset("center > ste(strict=True)|learned", (("measure", "latent"),)),
  act="ste(strict=True)",
  family="transformer",
  attention={
    "query": "ste(strict=True)",
    "key": "ste(strict=True)",
    "value": "ste(strict=True)",
    "probs": "softmax_aware",
  },
)
