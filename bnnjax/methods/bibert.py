"""BiBERT: attention without softmax, cut to {0, 1}.

BiBERT: Accurate Fully Binarized BERT, Qin et al., ICLR 2022, arXiv:2203.06390.
Weights are `s sign(w - mean)` with `s = mean |w|` of each output channel. As in
the authors' code, the scale measures the uncentred weights and does not affect
the gradient; the mean is differentiated. Bi-Attention thresholds the scaled,
masked score at 0 (`ste_heaviside`), which maximises the entropy of the map. The
paper's other idea, direction matching, is in `bnnjax.tasks.distillation`.

The paper's baseline (`all_ones`) binarizes the probabilities themselves:
softmax makes them all positive, their sign is 1, and attention becomes the sum
of all values that the mask lets through. Queries and keys receive a gradient
but have no effect. (The cost report charges them all the same.)
`rounded_softmax` is another network that keeps the softmax: its map is 1 where
one key has half of the probability, which no key has at the start.
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
method(
  "all_ones",
  paper="the baseline of BiBERT, Qin et al., ICLR 2022, sec. 3",
  arxiv="2203.06390",
  weight=_WEIGHT,
  act="ste",
  family="transformer",
  attention={**_HEADS, "probs": "ste_heaviside"},
  embedding=_EMBEDDING,
)
method(
  "rounded_softmax",
  paper="no paper: the softmax rounded at 1/2, with BiBERT's weights",
  arxiv="",
  weight=_WEIGHT,
  act="ste",
  family="transformer",
  attention={**_HEADS, "probs": "elastic_cut"},
  embedding=_EMBEDDING,
)
