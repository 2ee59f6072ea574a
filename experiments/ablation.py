"""All CNN methods in one network, under one protocol."""

from bnnjax.core import registry
from bnnjax.evidence.experiment import LOW_BIT_RATES, Claim, Experiment, Row

CONFIG = "configs/fashion_mnist_resnet.py:images=10000"
METHODS = [
  name
  for name in registry.registered("method", family="cnn")
  if name != "biper"  # has two stages, see below
]

EXPERIMENT = Experiment(
  title="Which method binarizes a small ResNet best? (10,000 training images)",
  paper="BiBench, Qin et al., ICML 2023, arXiv:2301.11233, on one network",
  claim=(
    "A method of a later paper trains a more accurate 1-bit network than the"
    " plain straight-through estimator (`ste`, 2016) in the same network"
  ),
  setting=(
    "ResNet-8 of Bi-Real's layout (a shortcut around every convolution, PReLU;"
    " stem, head and 1x1 shortcuts with 8 bits) on Fashion-MNIST at 14 x 14"
    " pixels, mirrored at random. Adam, cosine schedule, 8 epochs in batches of"
    " 128. A method is its binarizers of weights and activations and, where its"
    " paper has one, a rule for the weights or stages; the network is nobody's"
    " own."
  ),
  rows=(
    Row("float", f"{CONFIG},method=float"),
    *(Row(n, f"{CONFIG},method={n}", LOW_BIT_RATES) for n in METHODS),
    Row(
      "biper",
      f"{CONFIG},method=biper,two_stage",
      LOW_BIT_RATES,
      note="in two stages, as in experiments/biper.md",
    ),
    Row(
      "ws_bcn with BCN",
      f"{CONFIG},method=ws_bcn,norm=bcn",
      LOW_BIT_RATES,
      note="batch-channel normalization in place of batch normalization",
    ),
    Row(
      "float, width 1/8",
      f"{CONFIG},method=float,width=0.125",
      note="the float network whose ACE is the nearest above that of 1 bit",
    ),
    Row("linear", "configs/fashion_mnist_linear.py:images=10000,size=14"),
  ),
  claims=(
    Claim(
      "the best method beats `ste`",
      "*",
      "ste",
      besides=(
        "float",
        "float, width 1/8",
        "linear",
        "dorefa",
        "ws_bcn with BCN",
      ),
    ),
  ),
  also=(
    Claim(
      "a 1-bit network beats the float network of the nearest higher ACE",
      "*",
      "float, width 1/8",
      besides=("float", "linear", "dorefa", "ws_bcn with BCN"),
    ),
  ),
  notes=(
    "`dorefa` has activations of 2 bits, so it is not among the 1-bit methods"
    " of the claims. `ws_bcn with BCN` has another normalization than `ste`, so"
    " it is not the method alone that differs.",
    "The best method is chosen by the test accuracies, so its effect is too large"
    " by the luck of that choice; the interval, which holds for all pairs of rows"
    " together, is not.",
  ),
)
