"""Bop: binary weights without latent ones, flipped by their optimizer.

Latent Weights Do Not Exist: Rethinking Binarized Neural Network Optimization,
Helwegen et al., NeurIPS 2019, arXiv:1906.02107. The flipping rule is
`bnnjax.train.bop`. The gradient of a weight is the identity; activations have
the clipped straight-through sign of the paper's experiments.
"""

from bnnjax.core.method import Preset, method

method(
  "bop",
  paper="Bop, Helwegen et al., NeurIPS 2019",
  arxiv="1906.02107",
  weight=Preset("ste(clip=None)", (("latent", False),)),
  act="ste",
)
