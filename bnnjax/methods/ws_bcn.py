"""Weight Standardization and Batch-Channel Normalization.

Micro-Batch Training with Batch-Channel Normalization and Weight
Standardization, Qiao et al. 2019, arXiv:1903.10520. For float networks: the
transform `standardize` (alone, it is `"standardize > float"`) and the norm
`BatchChannelNorm`, which a model takes as `norm="batch_channel"` (for
micro-batches `"batch_channel(statistics='estimate')"`). The preset binarizes the
standardized weights: IR-Net's Libra-PB without its scale. It sets no norm.
"""

from bnnjax.core.method import method

method(
  "ws_bcn",
  paper="Weight Standardization and BCN, Qiao et al. 2019",
  arxiv="1903.10520",
  weight="standardize > ste",
  act="ste",
)
