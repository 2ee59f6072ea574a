"""Weight standardization and batch-channel normalization at micro-batches."""

from bnnjax.evidence.experiment import Claim, Experiment, Row

CONFIG = "configs/fashion_mnist_resnet.py:images=10000,epochs=2"
# Adam's steps are as long whatever the batch: more of them want lower rates.
RATES = {
  2: (3e-4, 1e-3, 3e-3),
  4: (3e-4, 1e-3, 3e-3),
  16: (1e-3, 3e-3, 1e-2),
  128: (1e-2, 3e-2, 9e-2),
}
KINDS = {
  "BN": "",
  "BN + WS": ",ws",
  "BCN + WS": ",ws,norm=estimate",
}


def _row(batch: int, kind: str, method: str = "ste") -> Row:
  name = f"batch {batch}, {'float, ' if method == 'float' else ''}{kind}"
  return Row(
    name,
    f"{CONFIG},batch={batch},method={method}{KINDS[kind]}",
    rates=RATES[batch],
    group=f"Batches of {batch}",
  )


EXPERIMENT = Experiment(
  title="WS + BCN at batches of 2, 4, 16, 128 (10,000 training images)",
  paper="WS and BCN, Qiao et al. 2019, arXiv:1903.10520",
  claim=(
    "In a 1-bit network and batches of 2, weight standardization with"
    " batch-channel normalization (estimated statistics) beats batch"
    " normalization, as the paper shows for float networks"
  ),
  setting=(
    "The network of experiments/ablation.md with `ste`, for 2 epochs at every"
    " batch size, so that all rows see the same images; smaller batches take"
    " more steps and choose from lower rates."
  ),
  rows=(
    *(_row(batch, kind) for batch in RATES for kind in KINDS),
    *(_row(batch, kind, "float") for batch in (2, 128) for kind in ("BN",)),
    _row(2, "BCN + WS", "float"),
    Row(
      "linear",
      "configs/fashion_mnist_linear.py:images=10000,size=14,epochs=2",
      group="Baseline",
    ),
  ),
  claims=(
    Claim(
      "batches of 2: BCN + WS beats BN", "batch 2, BCN + WS", "batch 2, BN"
    ),
  ),
  also=(
    Claim("batches of 2: WS helps BN", "batch 2, BN + WS", "batch 2, BN"),
    Claim(
      "batches of 4: BCN + WS beats BN", "batch 4, BCN + WS", "batch 4, BN"
    ),
    Claim(
      "batches of 16: BCN + WS beats BN", "batch 16, BCN + WS", "batch 16, BN"
    ),
    Claim(
      "batches of 128: BCN + WS beats BN",
      "batch 128, BCN + WS",
      "batch 128, BN",
    ),
    Claim(
      "batches of 2, float: BCN + WS beats BN",
      "batch 2, float, BCN + WS",
      "batch 2, float, BN",
    ),
  ),
)
