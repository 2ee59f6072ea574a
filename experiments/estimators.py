"""Draws the forward value and surrogate gradient of every estimator.

  python experiments/estimators.py

Writes results/estimators.json (the curves) and results/estimators.png.
"""

import json
import pathlib

import matplotlib.pyplot as plt

from bnnjax.report import methods

RESULTS = pathlib.Path(__file__).parent / "results"


def main():
  curves = methods.curves()
  columns = 5
  rows = -(-len(curves) // columns)
  figure, axes = plt.subplots(
    rows, columns, figsize=(11, 1.9 * rows), sharex=True, squeeze=False
  )
  for ax in axes.ravel()[len(curves) :]:
    ax.set_axis_off()
  for ax, (name, curve) in zip(axes.ravel(), curves.items()):
    ax.plot(methods.POINTS, curve["surrogate"], color="tab:orange", lw=1.5)
    ax.plot(methods.POINTS, curve["forward"], color="black", lw=0.8)
    ax.set_title(name, fontsize=9)
    ax.tick_params(labelsize=7)
  figure.suptitle(
    "forward (black) and surrogate gradient (orange)", fontsize=10
  )
  figure.tight_layout()
  RESULTS.mkdir(exist_ok=True)
  figure.savefig(
    RESULTS / "estimators.png", dpi=80, metadata={"Software": None}
  )
  (RESULTS / "estimators.json").write_text(json.dumps(curves) + "\n")


if __name__ == "__main__":
  main()
