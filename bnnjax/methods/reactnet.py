"""ReActNet: a trained threshold in front of the sign.

ReActNet: Towards Precise Binary Neural Network with Generalized Activation
Functions, Liu et al., ECCV 2020, arXiv:2003.03488. RSign (eq. 4) is the
transform `shift` before Bi-Real Net's `approx_sign`; weights are those of
Bi-Real Net. RPReLU (eq. 5) is a layer. In a network whose blocks contain the
shift, use `act="approx_sign"`.
"""

from bnnjax.core.method import method

method(
  "reactnet",
  paper="ReActNet, Liu et al., ECCV 2020",
  arxiv="2003.03488",
  weight="ste|channel_l1",
  act="shift > approx_sign",
)
