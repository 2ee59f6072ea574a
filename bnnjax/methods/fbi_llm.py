"""FBI-LLM: signs with a learned scale and shift for each input feature.

FBI-LLM: Scaling Up Fully Binarized LLMs from Scratch via Autoregressive
Distillation, Ma et al. 2024, arXiv:2407.07093. `w ~ alpha sign(w) + beta`, both
trained; the scale multiplies the weight gradient, nothing is clipped or
centred. The default, one pair per column, varies along the contracted axis: the
layer applies it to the float input, so that the contraction stays 1-bit.
"""

import jax.numpy as jnp

from bnnjax.core.hyper import Choice
from bnnjax.core.method import method
from bnnjax.core.scale import Measured, scale

AXES = {"input": (-1,), "output": (-2,), "tensor": (-2, -1)}


def _affine_init(x, *, per="input"):
  beta = jnp.mean(x, AXES[per], keepdims=True)
  alpha = jnp.mean(jnp.abs(x - beta), AXES[per], keepdims=True)
  return {"scale": alpha, "shift": beta}, {}


@scale(init=_affine_init, gradient="full", roles=("weight",))
def affine(
  x, params, stats, mode, *, per: Choice(tuple(AXES)) = "input"
):  # fmt: skip
  """A trained scale `alpha` and shift `beta`: `y = alpha sign(w) + beta`.

  Backward: `dalpha = sum dy sign(w)`, `dbeta = sum dy`, `dw = alpha dy` times
  the estimator's slope. At the start `beta` is the mean of `w`, and `alpha` the
  mean of `|w - beta|`.

  Args:
    x: kernel `[in, out]`.
    per: one pair per `"input"` (the paper's column), per `"output"` (row) or
      for the whole `"tensor"` (single).
  """
  del x, mode, per
  return Measured(params["scale"], stats, shift=params["shift"])


_WEIGHT = "ste(clip=None)|affine"

method(
  "fbi_llm",
  paper="FBI-LLM, Ma et al. 2024",
  arxiv="2407.07093",
  weight=_WEIGHT,
  family="llm",
)
# Bi-Mamba binarizes the two projections of a Mamba-2 block (model `mamba`) so.
method(
  "bi_mamba",
  paper="Bi-Mamba, Tang et al. 2024",
  arxiv="2411.11843",
  weight=_WEIGHT,
  family="llm",
)
