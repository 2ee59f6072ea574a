"""XNOR-Net++: trained instead of measured factors of the output.

XNOR-Net++: Improved Binary Neural Networks, Bulat & Tzimiropoulos, BMVC 2019,
arXiv:1909.13863. The factors are the layer option `output=`: `"rank1"` is the
paper's case 4 (channel, row and column), `"channel"` its case 1. They are
differentiated and multiply the gradients of both operands. Linear layers of
BiBench use `ste(strict=True)`.
"""

from bnnjax.core.method import method

method(
  "xnor_net_pp",
  paper="XNOR-Net++, Bulat & Tzimiropoulos, BMVC 2019",
  arxiv="1909.13863",
  weight="ste",
  act="ste",
  output="rank1",
)
