"""BiBERT: attention without softmax, cut to {0, 1}.

BiBERT: Accurate Fully Binarized BERT, Qin et al., ICLR 2022, arXiv:2203.06390.
Weights `s sign(w - mean)` with `s = mean |w|` of each output channel; the
authors' code is followed: the scale sees the uncentred weights and does not
touch the gradient, the mean is differentiated. Bi-Attention cuts the scaled,
masked score at 0 (`ste_heaviside`), which maximises the entropy of the map. The
other idea, the matching of directions, is `bnnjax.tasks.distillation`.
"""

from bnnjax.core.method import Preset, method

_LATENT = (("gradient", "none"), ("measure", "latent"))
_WEIGHT = Preset("center > ste|channel_l1", _LATENT)
_EMBEDDING = Preset("center(per='token') > ste|token_l1", _LATENT)
_HEADS = dict.fromkeys(("query", "key", "value"), "ste(strict=True)")

method(
  "bibert",
  paper="BiBERT, Qin et al., ICLR 2022",
  arxiv="2203.06390",
  weight=_WEIGHT,
  act="ste",
  family="transformer",
  attention={**_HEADS, "mixer": "none", "probs": "ste_heaviside(strict=True)"},
  embedding=_EMBEDDING,
)
# The naive way: the softmax stays, and its map is rounded at 1/2.
method(
  "bibert_baseline",
  paper="the baseline of BiBERT, Qin et al., ICLR 2022, sec. 3",
  arxiv="2203.06390",
  weight=_WEIGHT,
  act="ste",
  family="transformer",
  attention={**_HEADS, "probs": "elastic_cut"},
  embedding=_EMBEDDING,
)
