"""Examples held out of training, on which choices are made."""

import numpy as np
from ml_collections import ConfigDict

from bnnjax.data import loading
from bnnjax.errors import UserError
from bnnjax.train import data_facts

# The classes of two parts differ if they would do so in one of 1,000 random
# orders, and by as much as no order that somebody chose to balance them.
CHANCE = 1e-3
DISTANCE = 0.3


def splits(settings: ConfigDict, share: float) -> dict[str, str]:
  """Holds out the last examples of the training split.

  Args:
    settings: `config.data`.
    share: of the training examples.

  Returns:
    The config fields `data.train_split` and `data.eval_split`.

  Raises:
    UserError: none are left to train on, or the examples are sorted by class, so
      that both parts hold other classes.
  """
  name, options = settings.name, data_facts.options_of(settings)
  base, start, stop = loading.bounds(name, settings.train_split, **options)
  kept = stop - max(1, round(share * (stop - start)))
  if kept <= start:
    raise UserError(
      f"{share:g} of {stop - start} training examples leave none to train on."
    )
  labels = loading.load(name, base, **options).all_labels()
  if labels is not None:
    _check_mixed(labels[start:kept], labels[kept:stop], name)
  return {
    "data.train_split": f"{base}[{start}:{kept}]",
    "data.eval_split": f"{base}[{kept}:{stop}]",
  }


def _check_mixed(kept: np.ndarray, held: np.ndarray, name: str) -> None:
  """Raises `UserError` if two parts of the examples differ in their classes."""
  from scipy import stats  # takes a second to import

  classes = 1 + max(kept.max(), held.max())
  counts = np.stack([np.bincount(x, minlength=classes) for x in (kept, held)])
  counts = counts[:, counts.any(axis=0)]
  shares = counts / counts.sum(axis=1, keepdims=True)
  distance = abs(shares[0] - shares[1]).sum() / 2  # of total variation
  differ = distance > DISTANCE or not counts[0].all()
  if differ and stats.chi2_contingency(counts).pvalue < CHANCE:
    raise UserError(
      f"The last {len(held)} training examples of {name!r}, on which choices"
      f" would be made, hold {np.count_nonzero(counts[1])} classes in other shares"
      f" than the {len(kept)} before them, which hold"
      f" {np.count_nonzero(counts[0])}: the examples seem to be sorted by class."
      " Shuffle them once before you save them (images and labels with one"
      " `np.random.default_rng(0).permutation(n)`)."
    )
