"""What image models share."""

from collections.abc import Sequence


def check_image_shape(shape: Sequence[int]) -> None:
  """Raises `ValueError` unless `shape` is `[H, W, C]` with positive sizes."""
  if len(shape) != 3 or min(shape) < 1:
    raise ValueError(
      f"An image is `[height, width, channels]`, got shape {tuple(shape)}."
    )
