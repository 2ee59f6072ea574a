"""PokeBNN: the bound of its activations, bits of its gates, wider twins."""

from bnnjax.evidence.experiment import Claim, Experiment, Row

CONFIG = "configs/fashion_mnist_pokebnn.py:small,images=10000,epochs=8"

EXPERIMENT = Experiment(
  title="PokeBNN: bound 3, 4-bit gates, 1 bit (10,000 training images)",
  paper="PokeBNN, Zhang et al., CVPR 2022, arXiv:2112.00133",
  claim=(
    "Binarized activations need a bound, and 3 is a good one: smaller and larger"
    " bounds train less accurate networks (sec. 3.1)"
  ),
  setting=(
    "Two PokeBNN blocks of 16 and 32 features (3 x 3 kernels, no expansion,"
    " patches of 4 x 4) on Fashion-MNIST, mirrored at random. Adam as in the"
    " paper (b2 0.99), cosine schedule, 8 epochs in batches of 128. Stem and"
    " head have 8 bits, squeeze-and-excite 4, unless the row says otherwise."
  ),
  rows=(
    Row("float", f"{CONFIG},bits=32"),
    Row("bound 3", CONFIG),
    Row("bound 0.5", f"{CONFIG},bound=0.5"),
    Row("bound 1", f"{CONFIG},bound=1"),
    Row("bound 10", f"{CONFIG},bound=10"),
    Row("W4A4", f"{CONFIG},bits=4"),
    Row("W8A8", f"{CONFIG},bits=8"),
    Row("SE in float", f"{CONFIG},se_bits=32"),
    Row("SE with 8 bits", f"{CONFIG},se_bits=8"),
    Row("linear", "configs/fashion_mnist_linear.py:images=10000"),
  ),
  claims=(
    Claim("bound 3 beats 0.5", "bound 3", "bound 0.5"),
    Claim("bound 3 beats 1", "bound 3", "bound 1"),
    Claim("bound 3 beats 10", "bound 3", "bound 10"),
  ),
  also=(
    Claim("float gates beat gates of 4 bits", "SE in float", "bound 3"),
    Claim("4 bits beat 1 bit in this network", "W4A4", "bound 3"),
  ),
)
