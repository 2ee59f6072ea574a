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
# Widths whose costs overlap with those of 1 bit at 0.5, 1 and 2.
WIDTHS = {
  "float": (0.125, 0.25, 0.5, 1.0),
  "W2A2": (0.5, 1.0, 2.0),
  "W4A4": (0.25, 0.5, 1.0),
  "W8A8": (0.25, 0.5, 1.0),
}


def _resnet(kind: str, spec: str) -> list[Row]:
  """A row for each width, the one that is tuned first."""
  middle = f"ResNet {kind}"
  rates = RATES if kind == "float" else LOW_BIT_RATES
  rows = [Row(middle, f"{RESNET},{spec}", rates)]
  for width in WIDTHS.get(kind, (0.5, 1.0, 2.0)):
    if width != 1.0:
      rows.append(
        Row(
          f"{middle}, width {width:g}",
          f"{RESNET},{spec},width={width:g}",
          rate_of=middle,
        )
      )
  return rows


def _poke(kind: str, spec: str, widths) -> list[Row]:
  middle = f"PokeBNN {kind}"
  return [
    Row(middle, f"{POKE}{spec}"),
    *(
      Row(
        f"{middle}, width {width:g}",
        f"{POKE}{spec},width={width:g}",
        rate_of=middle,
      )
      for width in widths
    ),
  ]


ROWS = (
  *_resnet("float", "method=float"),
  *(row for m in METHODS for row in _resnet(f"W1A1 {m}", f"method={m}")),
  *(row for b in BITS for row in _resnet(f"W{b}A{b}", f"bits={b}")),
  *_poke("W1A1", "", (0.5, 2.0)),
  *_poke("W4A4", ",bits=4", (0.5,)),
  *_poke("W8A8", ",bits=8", (0.5,)),
  *_poke("float", ",bits=32", (0.5,)),
)


def _names(start: str) -> tuple[str, ...]:
  """Rows of one curve."""
  return tuple(
    row.name
    for row in ROWS
    if row.name == start or row.name.startswith(f"{start}, width")
  )


EXPERIMENT = Experiment(
  title="Where does 1 bit win at equal ACE? (10,000 training images)",
  paper="PokeBNN, Zhang et al., CVPR 2022, arXiv:2112.00133",
  claim=(
    "At equal ACE, a wider 1-bit network is more accurate than a narrower one of"
    " 4 bits"
  ),
  setting=(
    "ResNet-8 as in experiments/ablation.md and the PokeBNN of"
    " experiments/pokebnn.md, at several widths; rates are chosen at width 1."
    " 2, 4 and 8 bits are DoReFa-Net's in the ResNet and AQT's in PokeBNN. 8"
    " epochs in batches of 128."
  ),
  rows=ROWS,
  claims=(
    AtEqualCost(
      "ResNet: 1 bit (`reactnet`) beats 4 bits at equal ACE",
      _names("ResNet W1A1 reactnet"),
      _names("ResNet W4A4"),
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
    "Width 1 is the middle one of the 1-bit and 2-bit networks but the widest of"
    " the others, and their narrow networks are those that 1 bit is compared with:"
    " rates that are chosen at width 1 may favour 1 bit.",
    "Interpolation is linear in the logarithm of ACE; the effect is the mean over"
    " the networks of the other precision within the ACE of the 1-bit ones.",
  ),
)
