"""Image augmentations, written as short strings.

A config has `("pad_crop(4)", "flip")`, or dicts such as
`{"name": "pad_crop", "padding": 4}`. Each augmentation is a function `(images,
rng) -> images` of a whole batch: uint8 `[B, H, W, C]`, or a list of `[H, W, C]`
if sizes differ. Augmentations that do not use `rng` serve evaluation too.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from PIL import Image

from bnnjax.core import number_checks, registry
from bnnjax.core import spec as spec_lib

_LARGEST = 65_535  # pixels of a side; more is a typo that would fill the memory
Images = np.ndarray | list[np.ndarray]
Augment = Callable[[Images, np.random.Generator], Images]


@registry.register("augment", "pad_crop")
@dataclasses.dataclass(frozen=True)
class PadCrop:
  """Pads every side with black, then takes a random crop of the old size."""

  padding: int

  def __post_init__(self):
    number_checks.size("padding", self.padding, _LARGEST)

  def __call__(self, images: Images, rng: np.random.Generator) -> Images:
    _check_one_size("pad_crop", images)
    batch, height, width, _ = images.shape
    pad = (self.padding, self.padding)
    padded = np.pad(images, ((0, 0), pad, pad, (0, 0)))
    # Views [B, y, x, C, H, W] of every window; indexing copies one per image.
    windows = np.lib.stride_tricks.sliding_window_view(
      padded, (height, width), axis=(1, 2)
    )
    y, x = rng.integers(0, 2 * self.padding + 1, (2, batch))
    return windows[np.arange(batch), y, x].transpose(0, 2, 3, 1)


@registry.register("augment", "flip")
@dataclasses.dataclass(frozen=True)
class Flip:
  """Mirrors each image left to right with probability `probability`."""

  probability: float = 0.5

  def __post_init__(self):
    number_checks.number("probability", self.probability, 0, 1)

  def __call__(self, images: Images, rng: np.random.Generator) -> Images:
    _check_one_size("flip", images)
    chosen = rng.random(len(images)) < self.probability
    flipped = images[:, :, ::-1]
    return np.where(chosen[:, None, None, None], flipped, images)


@registry.register("augment", "random_resized_crop")
@dataclasses.dataclass(frozen=True)
class RandomResizedCrop:
  """Takes a random crop and resizes it to `size` x `size`, bilinear.

  The usual ImageNet training crop (Szegedy et al. 2015). `scale` bounds the
  area of the crop as a fraction of the image's, `ratio` its width over height.
  If ten draws do not fit the image, it takes the largest centred crop of a
  legal ratio.
  """

  size: int
  scale: tuple[float, float] = (0.08, 1.0)
  ratio: tuple[float, float] = (3 / 4, 4 / 3)

  def __post_init__(self):
    number_checks.size("size", self.size, _LARGEST)
    # A scale above 1 never fits: every crop would be the centred one.
    number_checks.interval("scale", self.scale, 1)
    number_checks.interval("ratio", self.ratio, _LARGEST)

  def __call__(self, images: Images, rng: np.random.Generator) -> Images:
    size = self.size, self.size
    crops = []
    for image in images:
      left, top, right, bottom = self.box(*image.shape[:2], rng)
      crops.append(_resize(image[top:bottom, left:right], size))
    return np.stack(crops)

  def box(
    self, height: int, width: int, rng: np.random.Generator
  ) -> tuple[int, int, int, int]:
    """Draws the left, top, right and bottom pixel of a crop."""
    for _ in range(10):
      area = height * width * rng.uniform(*self.scale)
      ratio = np.exp(rng.uniform(*np.log(self.ratio)))
      w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
      if 0 < w <= width and 0 < h <= height:
        x, y = rng.integers(0, (width - w + 1, height - h + 1))
        return int(x), int(y), int(x) + w, int(y) + h
    ratio = np.clip(width / height, *self.ratio)
    w = min(width, round(height * ratio))
    h = min(height, round(width / ratio))
    x, y = (width - w) // 2, (height - h) // 2
    return x, y, x + w, y + h


@registry.register("augment", "resize")
@dataclasses.dataclass(frozen=True)
class Resize:
  """Resizes the shorter side to `size`, bilinear; keeps the aspect ratio."""

  size: int

  def __post_init__(self):
    number_checks.size("size", self.size, _LARGEST)

  def __call__(self, images: Images, rng: np.random.Generator) -> Images:
    del rng
    resized = []
    for image in images:
      height, width = image.shape[:2]
      factor = self.size / min(height, width)
      shape = round(height * factor), round(width * factor)
      resized.append(_resize(image, shape))
    same = len({image.shape for image in resized}) == 1
    return np.stack(resized) if same else resized


@registry.register("augment", "center_crop")
@dataclasses.dataclass(frozen=True)
class CenterCrop:
  """Takes the middle `size` x `size` pixels."""

  size: int

  def __post_init__(self):
    number_checks.size("size", self.size, _LARGEST)

  def __call__(self, images: Images, rng: np.random.Generator) -> Images:
    del rng
    crops = []
    for image in images:
      y, x = (np.array(image.shape[:2]) - self.size) // 2
      if min(x, y) < 0:
        raise ValueError(
          f"center_crop({self.size}) of an image of shape {image.shape}: put"
          f" 'resize({self.size})' before it."
        )
      crops.append(image[y : y + self.size, x : x + self.size])
    return np.stack(crops)


def parse(spec: Any) -> tuple[Augment, ...]:
  """Reads a list of augmentations.

  Args:
    spec: a string such as `"pad_crop(2), flip"`, a dict with `name` and
      options, a function `(images, rng) -> images`, or a sequence of these.

  Returns:
    The functions, in order.

  Raises:
    ValueError: unknown name or option; the message suggests the nearest.

  Example:
    >>> parse(("pad_crop(2)", "flip"))
    (PadCrop(padding=2), Flip(probability=0.5))
  """
  if spec is None:
    return ()
  if isinstance(spec, str):
    return _read(spec)
  if hasattr(spec, "items"):  # a dict or an ml_collections.ConfigDict
    options = dict(spec.items())
    if "name" not in options:
      raise ValueError(f"The augmentation {options} has no 'name'.")
    name = options.pop("name")
    make = registry.get("augment", name)
    return (make(**spec_lib.bind("augment", name, (), options)),)
  if callable(spec):
    return (spec,)
  if not isinstance(spec, Iterable):
    raise TypeError(
      "An augmentation is a string such as 'pad_crop(2)', a dict, a function,"
      f" or a sequence of these: got {spec!r}."
    )
  return tuple(augment for part in spec for augment in parse(part))


def apply(
  augments: Iterable[Augment], images: Images, rng: np.random.Generator
) -> np.ndarray:
  """Runs augmentations in order on a batch.

  Args:
    augments: from `parse`.
    images: uint8 `[B, H, W, C]`, or a list of `[H, W, C]`.
    rng: for all random draws.

  Returns:
    uint8 `[B, H, W, C]`.

  Raises:
    ValueError: the images still differ in size after the last augmentation.
  """
  for augment in augments:
    images = augment(images, rng)
  _check_one_size("batching", images)
  return images


def _read(spec: str) -> tuple[Augment, ...]:
  """The augmentations of a string such as `"pad_crop(2), flip"`."""
  try:
    made = [
      spec_lib.part("augment", part, part, as_call=True)
      for part in spec_lib.parts(spec)
    ]
  except spec_lib.Unreadable as error:
    raise ValueError(
      f"Cannot read the augmentation {spec!r}. Write it as 'pad_crop(2)',"
      f" 'flip' ...; known: {', '.join(registry.registered('augment'))}."
    ) from error
  return tuple(make(**dict(options)) for make, options in made)


def _check_one_size(what: str, images: Images) -> None:
  if isinstance(images, list):
    sizes = sorted({image.shape for image in images})[:3]
    raise ValueError(
      f"The images differ in size before {what} ({sizes} ...). Begin with"
      " 'random_resized_crop(224)' for training, or 'resize(256)',"
      " 'center_crop(224)' for evaluation."
    )


def _resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Resizes uint8 `[H, W, C]` to `shape`, antialiased bilinear."""
  if image.shape[2] == 3:
    planes = [image]
  else:
    planes = [image[..., c] for c in range(image.shape[2])]
  resized = [
    np.asarray(
      Image.fromarray(np.ascontiguousarray(plane)).resize(
        shape[::-1], Image.Resampling.BILINEAR
      )
    )
    for plane in planes
  ]
  return resized[0] if resized[0].ndim == 3 else np.stack(resized, axis=-1)
