"""Where does one bit win at equal ACE, and by how much?"""

from bnnjax.evidence.experiment import (
  LOW_BIT_RATES,
  RATES,
  AtEqualCost,
  Experiment,
  Row,
)

RESNET = "configs/fashion_mnist_resnet.py:images=10000"
POKE = "configs/fashion_mnist_pokebnn.py:small,images=10000,epochs=8"
# Widths whose costs overlap with those of 1 bit; the rate is chosen at the first.
METHODS = {
  "ste": (1.0, 0.5, 0.25),
  "reactnet": (1.0, 0.5, 2.0),
  "reste": (1.0, 0.5, 0.25),
}
BITS = {2: (1.0, 0.5, 0.25), 4: (0.5, 1.0, 0.25), 8: (0.5, 1.0, 0.25)}
POKE_WIDTHS = (1.0, 0.5, 0.75)


def _curve(name: str, spec: str, widths, rates=LOW_BIT_RATES) -> list[Row]:
  """A row for each width; all take the rate of the first."""
  return [
    Row(
      f"{name} x {width:g}",
      spec if width == 1 else f"{spec},width={width:g}",
      rates,
      rate_of="" if width == widths[0] else f"{name} x {widths[0]:g}",
    )
    for width in widths
  ]


# The rows of experiments/ablation.md come last: one run serves both.
ROWS = (
  *_curve("PokeBNN W1A1", POKE, (1.0, 0.5, 2.0, 3.0), RATES),
  *_curve("PokeBNN W4A4", f"{POKE},bits=4", POKE_WIDTHS, RATES),
  *_curve("PokeBNN W8A8", f"{POKE},bits=8", POKE_WIDTHS, RATES),
  *_curve("PokeBNN float", f"{POKE},bits=32", POKE_WIDTHS, RATES),
  *(
    row
    for bits, widths in BITS.items()
    for row in _curve(f"ResNet W{bits}A{bits}", f"{RESNET},bits={bits}", widths)
  ),
  *_curve("ResNet float", f"{RESNET},method=float", (1.0, 0.5, 0.25), RATES),
  Row("ResNet float x 0.125", f"{RESNET},method=float,width=0.125"),
  *(
    row
    for method, widths in METHODS.items()
    for row in _curve(
      f"ResNet W1A1 {method}", f"{RESNET},method={method}", widths
    )
  ),
)


def _names(curve: str) -> tuple[str, ...]:
  """Rows of one curve."""
  return tuple(row.name for row in ROWS if row.name.startswith(f"{curve} x "))


EXPERIMENT = Experiment(
  title="Where does 1 bit win at equal ACE? (10,000 training images)",
  paper="PokeBNN, Zhang et al., CVPR 2022, arXiv:2112.00133",
  claim=(
    "At equal ACE, a wider 1-bit network is more accurate than a narrower one of"
    " 4 bits"
  ),
  setting=(
    "ResNet-8 as in experiments/ablation.md and the PokeBNN of"
    " experiments/pokebnn.md, at several widths, one of which chooses the rate of"
    " all (a ResNet of 1/8 in float chooses its own). 2, 4 and 8 bits are"
    " DoReFa-Net's in the ResNet and AQT's in PokeBNN. 8 epochs in batches of 128."
  ),
  rows=ROWS,
  claims=(
    AtEqualCost(
      "ResNet: 1 bit (`reactnet`) beats 4 bits at equal ACE",
      _names("ResNet W1A1 reactnet"),
      _names("ResNet W4A4"),
    ),
    AtEqualCost(
      "PokeBNN: 1 bit beats 4 bits at equal ACE",
      _names("PokeBNN W1A1"),
      _names("PokeBNN W4A4"),
    ),
  ),
  also=(
    AtEqualCost(
      "ResNet: 1 bit (`reactnet`) beats 2 bits at equal ACE",
      _names("ResNet W1A1 reactnet"),
      _names("ResNet W2A2"),
    ),
    AtEqualCost(
      "ResNet: 1 bit (`reactnet`) beats 8 bits at equal ACE",
      _names("ResNet W1A1 reactnet"),
      _names("ResNet W8A8"),
    ),
    AtEqualCost(
      "ResNet: 1 bit (`reactnet`) beats float at equal ACE",
      _names("ResNet W1A1 reactnet"),
      _names("ResNet float"),
    ),
  ),
  notes=(
    "Interpolation is linear in the logarithm of ACE; the effect is the mean over"
    " the networks of the other precision within the ACE of the 1-bit ones.",
  ),
)
