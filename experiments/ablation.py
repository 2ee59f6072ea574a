"""Which method binarizes a small ResNet best, at equal budget?

  bnnjax sweep experiments/ablation.py

Every registered method (plug-ins too, see `--load`), three seeds, and the float
network.
"""

from bnnjax.core import registry

CONFIG = "configs/fashion_mnist_resnet.py"
SEEDS = 3


def sweep():
  """Config specs, one a run; all methods once before the next seed."""
  for seed in range(SEEDS):
    for method in ("float", *registry.registered("method")):
      yield f"{CONFIG}:method={method},seed={seed}"
