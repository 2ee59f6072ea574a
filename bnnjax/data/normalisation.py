"""Normalisation of pixels: (pixel / 255 - mean) / std, per channel."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from bnnjax.data import sources

# Per channel, of pixels in [0, 1]: the values in common use for each data set.
MEAN_STD = {
  "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
  "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
  "fashion_mnist": ((0.2860,), (0.3530,)),
  "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  "mnist": ((0.1307,), (0.3081,)),
  "svhn_cropped": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
Prepare = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Normalise:
  """(pixel / 255 - mean) / std per channel, as one multiply and one add."""

  scale: np.ndarray
  shift: np.ndarray

  def __call__(self, images: np.ndarray) -> np.ndarray:
    out = np.empty(images.shape, np.float32)
    np.multiply(images, self.scale, out=out)
    return np.add(out, self.shift, out=out)


def normaliser(
  info: sources.DatasetInfo,
  mean: Sequence[float] | None,
  std: Sequence[float] | None,
) -> Prepare:
  """Makes the normalisation of a data set, by default with its own statistics.

  For text it is the identity.

  Raises:
    ValueError: not one value per channel, a `mean` outside 0 .. 1, a `std` that
      is not positive, or either of them for text.
  """
  if info.kind is sources.TEXT:
    if mean is not None or std is not None:
      raise ValueError(
        f"`mean` and `std` are of pixels, but {info.name!r} holds text."
      )
    return np.asarray
  mean = info.mean if mean is None else mean
  std = info.std if std is None else std
  channels = info.shape[2]
  for name, value in (("mean", mean), ("std", std)):
    if len(value) not in (1, channels):
      raise ValueError(
        f"`{name}` has {len(value)} values, but the images of {info.name!r}"
        f" have {channels} channel(s)."
      )
  mean, std = np.array(mean, np.float64), np.array(std, np.float64)
  if not (std > 0).all():
    raise ValueError(f"`std` must be positive: got {std.tolist()}.")
  if not ((mean >= 0) & (mean <= 1)).all():
    raise ValueError(
      f"`mean` must be of pixels in 0 .. 1, got {mean.tolist()}: if it is of"
      " pixels in 0 .. 255, divide mean and std by 255."
    )
  return Normalise(
    (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
  )
