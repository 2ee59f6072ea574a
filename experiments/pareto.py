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
METHODS = ("ste", "reactnet", "reste")
BITS = (2, 4, 8)
# Widths whose costs overlap with those of 1 bit.
WIDTHS = {
  "float": (0.125, 0.25, 0.5, 1.0),
  "W1A1": (0.5, 1.0, 2.0),
  "W2A2": (0.5, 1.0, 2.0),
  "W4A4": (0.25, 0.5, 1.0),
  "W8A8": (0.25, 0.5, 1.0),
}


def _curve(
  name: str, spec: str, widths, rates=LOW_BIT_RATES, tuned=(1.0,)
) -> list[Row]:
  """A row for each width; widths that are not tuned take the first one's rate."""
  return [
    Row(
      f"{name} x {width:g}",
      spec if width == 1 else f"{spec},width={width:g}",
      rates,
      rate_of="" if width in tuned else f"{name} x {tuned[0]:g}",
    )
    for width in sorted(widths, key=lambda width: width not in tuned)
  ]


# The rows of experiments/ablation.md come last: one run serves both.
ROWS = (
  *_curve("PokeBNN W1A1", POKE, (0.5, 1.0, 2.0, 3.0), RATES),
  *_curve("PokeBNN W4A4", f"{POKE},bits=4", (0.5, 1.0, 2.0), RATES),
  *_curve("PokeBNN W8A8", f"{POKE},bits=8", (0.5, 1.0, 2.0), RATES),
  *_curve("PokeBNN float", f"{POKE},bits=32", (0.5, 1.0, 2.0), RATES),
  *(
    row
    for b in BITS
    for row in _curve(
      f"ResNet W{b}A{b}",
      f"{RESNET},bits={b}",
      WIDTHS[f"W{b}A{b}"],
      tuned=(WIDTHS[f"W{b}A{b}"][1],),
    )
  ),
  *_curve(
    "ResNet float",
    f"{RESNET},method=float",
    WIDTHS["float"],
    RATES,
    tuned=(1.0, 0.125),
  ),
  *(
    row
    for m in METHODS
    for row in _curve(
      f"ResNet W1A1 {m}", f"{RESNET},method={m}", WIDTHS["W1A1"]
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
    " experiments/pokebnn.md, at several widths; each curve chooses its rate at one"
    " of them, the middle one where there are three. 2, 4 and 8 bits are"
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
