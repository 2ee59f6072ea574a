"""Base class of convolutional classifiers: layers in sequence, and a head."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import deprecated
from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.blocks import LayerDefaults
from bnnjax.layers.linear import Linear

SMALL_IMAGE = 50  # below this height, larq/zoo uses the small stem


class ImageClassifier(nnx.Module):
  """Layers in sequence, then the mean over the map (or all of it) and a head.

  Args:
    stem, blocks: layers `(x, mode) -> x`.
    features: inputs of the head; `None` means no head.
    num_classes: outputs.
    defaults: binarizers, dtype and kernel initializer of the head.
    flatten: whether the head reads every pixel instead of the mean.
    head_bias: whether the head has a bias.
    head_norm: whether a norm comes before the head.
    rngs: random numbers.
  """

  def __init__(
    self,
    stem: Sequence[nnx.Module],
    blocks: Sequence[nnx.Module],
    features: int | None,
    num_classes: int,
    *,
    defaults: LayerDefaults,
    flatten: bool = False,
    head_bias: bool = True,
    head_norm: bool = False,
    rngs: nnx.Rngs,
  ):
    self.stem = nnx.List(stem)
    self.blocks = nnx.List(blocks)
    self.flatten = flatten
    self.head_norm = (
      defaults.make_norm(features, rngs=rngs) if head_norm else None
    )
    self.head = (
      None
      if features is None
      else Linear(
        features,
        num_classes,
        weight=defaults.weight,
        act=defaults.act,
        dtype=defaults.dtype,
        use_bias=head_bias,
        kernel_init=defaults.initializer,
        rngs=rngs,
      )
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, num_classes]`."""
    for layer in (*self.stem, *self.blocks):
      x = layer(x, mode)
    if self.flatten:
      x = jnp.reshape(x, (x.shape[0], -1))
    else:
      with jax.named_scope("global_pool"):
        x = jnp.mean(x, axis=(1, 2))
    if self.head_norm is not None:
      x = self.head_norm(x, mode)
    return x if self.head is None else self.head(x, mode)


def scaled(features: int, width: float) -> int:
  """Number of channels times the width, rounded down.

  Raises:
    ValueError: no channel is left.
  """
  if int(features * width) < 1:
    raise ValueError(f"Width {width} leaves nothing of {features} channels.")
  return int(features * width)


def is_small(stem: str | None, image_shape: Sequence[int]) -> bool:
  """Whether the stem is `"small"`; for `None` the height of the image decides.

  Raises:
    ValueError: neither `"imagenet"` nor `"small"`.
  """
  if stem not in (None, "imagenet", "small"):
    raise registry.unknown("stem", stem, ("imagenet", "small"))
  return image_shape[0] < SMALL_IMAGE if stem is None else stem == "small"


__getattr__ = deprecated.old_names(
  __name__, {"pick": "bnnjax.core.registry.pick"}
)
