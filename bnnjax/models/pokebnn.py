"""PokeBNN (Zhang, Zhang, Lew, CVPR 2022, arXiv:2112.00133)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.poke import PokeBits, PokeConv, PokeInit
from bnnjax.models.checks import check_image_shape

RESNET50 = ((64, 3), (128, 4), (256, 6), (512, 3))  # (features, blocks)
EXPANSION = 4
BOTTLENECK = (1, 3, 1)


class PokeBlock(nnx.Module):
  """Three PokeConvs: reduce, convolve (strided), expand.

  Args:
    in_features: channels of the input.
    features: channels of the first two; the third has `expansion` times more.
    strides: of the second PokeConv.
    kernels: windows of the three; (1, 3, 1) in the paper.
    expansion: 4 in the paper.
    bits: widths.
    rngs: random numbers.
  """

  def __init__(
    self,
    in_features: int,
    features: int,
    *,
    strides: int,
    kernels: Sequence[int] = BOTTLENECK,
    expansion: int = EXPANSION,
    bits: PokeBits,
    rngs: nnx.Rngs,
  ):
    first, second, third = ((k, k) for k in kernels)
    self.reduce = PokeConv(
      in_features, features, first, bits=bits, parallel="row", rngs=rngs
    )
    self.conv = PokeConv(
      features, features, second, strides=strides, bits=bits, rngs=rngs
    )
    self.expand = PokeConv(
      features, expansion * features, third, closing=True, bits=bits, rngs=rngs
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H / strides, W / strides, expansion features]`."""
    y = self.conv(self.reduce(x, mode), mode)
    return self.expand(y, mode, long_shortcut=x)


@registry.register("model", "pokebnn")
class PokeBNN(nnx.Module):
  """ResNet-50's plan with binary PokeConvs; stem and head 8-bit, gates 4-bit.

  With `weight=None, act=None` and all bits `None` it is the same network in
  float.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`; the model depends on the channels only.
    width: multiplies the features of all stages. The channels after a block
      must be a multiple of those before it, for the tiled shortcut; with the
      default stages, widths are multiples of 0.25.
    stages: (features, blocks) of each stage; all but the first halve the map.
    patch: window and stride of the stem; 4 for ImageNet, 1 or 2 for small
      images.
    init_features, stem_features: channels in and after the stem.
    kernels, expansion: of a block, see `PokeBlock`. On small images (3, 3, 3)
      and an expansion of 1 learn faster than the paper's bottleneck.
    weight, act: binarizers of the body.
    init_bits, se_bits, head_bits: bit-widths of stem, gates and classifier;
      `None` is float.
    quant_start: point of training where quantization of convolution weights
      starts.
    tag: whether values carry their bit-width.
    dtype: of the computation; the paper trains in bfloat16.
    rngs: random numbers.

  Raises:
    ValueError: an illegal width.
  """

  def __init__(
    self,
    num_classes: int = 1000,
    image_shape: Sequence[int] = (224, 224, 3),
    *,
    width: float = 1.0,
    stages: Sequence[tuple[int, int]] = RESNET50,
    patch: int = 4,
    init_features: int = 32,
    stem_features: int = 64,
    kernels: Sequence[int] = BOTTLENECK,
    expansion: int = EXPANSION,
    weight: Spec = "pokebnn",
    act: Spec = "pokebnn",
    init_bits: int | None = 8,
    se_bits: int | None = 4,
    head_bits: int | None = 8,
    quant_start: float | int = 0.0625,
    tag: bool = True,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    bits = PokeBits(
      weight, act, init_bits, se_bits, head_bits, quant_start, tag, dtype
    )
    check_image_shape(image_shape)
    plan = _plan(stages, width, stem_features, expansion)
    self.stem = PokeInit(
      image_shape[-1],
      init_features,
      stem_features,
      patch=patch,
      bits=bits,
      rngs=rngs,
    )
    self.blocks = nnx.List(
      PokeBlock(
        before,
        features,
        strides=strides,
        kernels=kernels,
        expansion=expansion,
        bits=bits,
        rngs=rngs,
      )
      for before, features, strides in plan
    )
    self.head = Linear(
      expansion * plan[-1][1],
      num_classes,
      **bits.uniform(head_bits, start=False),
      rngs=rngs,
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, num_classes]`."""
    x = self.stem(x, mode)
    for block in self.blocks:
      x = block(x, mode)
    with jax.named_scope("global_pool"):
      x = jnp.mean(x, axis=(1, 2))
    return self.head(x, mode)


def _plan(
  stages, width, stem_features, expansion
) -> list[tuple[int, int, int]]:
  """(input channels, features, stride) of every block.

  Raises:
    ValueError: the width gives a fraction of a channel, or breaks the tiled
      shortcut.
  """
  if not stages or any(len(s) != 2 or min(s) < 1 for s in stages):
    raise ValueError(
      "`stages` is a sequence of (features, blocks), all at least 1, got"
      f" {stages!r}."
    )
  plan, before = [], stem_features
  for stage, (features, blocks) in enumerate(stages):
    scaled = features * width
    after = expansion * int(scaled)
    if (
      width <= 0 or scaled != int(scaled) or (after > before and after % before)
    ):
      legal = [
        w for w in _WIDTHS if _legal(stages, w, stem_features, expansion)
      ]
      near = sorted(sorted(legal, key=lambda w: abs(w - width))[:4])
      raise ValueError(
        f"Illegal width {width}: in stage {stage}, {features} x {width} features"
        f" give {expansion * scaled:g} channels, which {before} channels cannot"
        f" be tiled to. Nearest legal widths: {', '.join(map(str, near))}."
      )
    for block in range(blocks):
      plan.append((before, int(scaled), 2 if stage and not block else 1))
      before = after
  return plan


_WIDTHS = [n / 16 for n in range(1, 129)]


def _legal(stages, width, before, expansion) -> bool:
  for features, _ in stages:
    after = expansion * features * width
    if after % expansion or (after > before and after % before):
      return False
    before = after
  return True
