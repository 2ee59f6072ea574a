"""The layers of PokeBNN: PokeInit, PokeConv, squeeze-and-excite.

PokeBNN: A Binary Pursuit of Lightweight Accuracy, Zhang, Zhang, Lew, CVPR 2022,
arXiv:2112.00133, sec. 3; google/aqt is followed where the two differ.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core.arguments import checked
from bnnjax.core.binarizer import Binarizer
from bnnjax.core.progress import Mode
from bnnjax.core.spec import parse
from bnnjax.layers.activations import DPReLU
from bnnjax.layers.conv import Conv
from bnnjax.layers.linear import Spec
from bnnjax.layers.norm import BatchNorm
from bnnjax.layers.shortcut import reshape_add

REDUCTION = 8  # squeeze-and-excite; the released code ignores its `se_ratio`


@dataclasses.dataclass(frozen=True)
class PokeBits:
  """Binarizers of all operands of a PokeBNN, and its dtype.

  Attributes:
    weight, act: of the body's convolutions.
    init, se, head: bit-widths of stem, squeeze-and-excite and classifier;
      `None` is float.
    start: when training starts to quantize the weights of convolutions (a
      fraction of the run, or a step; epoch 50 of 800 in the paper). Those of
      the classifier are quantized from the first step, as in the released code.
    tag: whether values carry their bit-width.
    dtype: of the computation.
  """

  weight: Spec = "half_shift|channel_max"
  act: Spec = "half_shift|fixed(value=3.0)"
  init: int | None = 8
  se: int | None = 4
  head: int | None = 8
  start: float | int = 0.0625
  tag: bool = True
  dtype: Any = None

  def body(self) -> dict[str, Any]:
    """`weight=`, `act=` and `dtype=` of a body convolution."""
    act = parse(self.act, "act")
    if act is not None:
      act = dataclasses.replace(act, tag=self.tag)
    return {
      "weight": self._weight(self.weight),
      "act": act,
      "dtype": self.dtype,
    }

  def uniform(
    self, bits: int | None, *, unsigned: bool = False, start: bool = True
  ) -> dict[str, Any]:
    """`weight=`, `act=` and `dtype=` of a layer with `bits`-bit operands."""
    if bits is None:
      return {"dtype": self.dtype}
    grid = "unsigned" if unsigned else "symmetric"
    weight = f"symmetric(bits={bits})|channel_max"
    act = parse(f"{grid}(bits={bits})|ema_bound", "act", tag=self.tag)
    weight = (
      self._weight(weight) if start else parse(weight, "weight", tag=self.tag)
    )
    return {"weight": weight, "act": act, "dtype": self.dtype}

  def _weight(self, spec: Spec) -> Binarizer | None:
    weight = parse(spec, "weight")
    if weight is None:
      return None
    return dataclasses.replace(weight, start=self.start, tag=self.tag)


def batch_norm(features: int, bits: PokeBits, rngs: nnx.Rngs, scale=1.0):
  """Batch normalization with the paper's constants."""
  return BatchNorm(
    features,
    momentum=0.9,
    epsilon=1e-5,
    dtype=bits.dtype,
    scale_init=nnx.initializers.constant(scale),
    rngs=rngs,
  )


class SqueezeExcite(nnx.Module):
  """Channel gates from the global mean, 4-bit (sec. 3.4).

  `min(max(conv2(relu(conv1(mean(x)))) + 3, 0), 6) / 6`; the first convolution
  has signed 4-bit inputs and `in / 8` channels, the second unsigned ones.

  Args:
    in_features, out_features: channels of the input and of the gates.
    bits: bit-widths.
    parallel: of its convolutions, see `bnnjax.layers.contraction.Options`.
    rngs: random numbers.
  """

  @checked
  def __init__(
    self,
    in_features: int,
    out_features: int,
    *,
    bits: PokeBits = PokeBits(),
    parallel: str = "column",
    rngs: nnx.Rngs,
  ):
    hidden = in_features // REDUCTION
    if hidden < 1:
      raise ValueError(
        f"Squeeze-and-excite divides its channels by {REDUCTION}: got only"
        f" {in_features}."
      )
    self.squeeze = Conv(
      in_features,
      hidden,
      (1, 1),
      **bits.uniform(bits.se),
      parallel=parallel,
      rngs=rngs,
    )
    self.excite = Conv(
      hidden,
      out_features,
      (1, 1),
      **bits.uniform(bits.se, unsigned=True),
      parallel=parallel,
      rngs=rngs,
    )

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, in_features] -> [N, 1, 1, out_features]`."""
    with jax.named_scope("se/pool"):
      s = jnp.mean(x, axis=(1, 2), keepdims=True)
    s = self.squeeze(s, mode)
    with jax.named_scope("se/relu"):
      s = nnx.relu(s)
    s = self.excite(s, mode)
    with jax.named_scope("se/relu6"):
      return jnp.clip(s + 3, 0, 6) / 6


class PokeConv(nnx.Module):
  """Binary convolution with its shortcuts, DPReLU, gates and two norms.

  `z = BN(conv(x)) + shortcut(x) [+ tiled shortcut(r1)]`,
  `y = BN(DPReLU(z) * SE(x))`. The last norm gives the next sign unit variance,
  which is why a bound of 3 fits.

  Args:
    in_features, out_features: channels.
    kernel_size: window.
    strides: 1 or 2.
    closing: whether this is the third convolution of a block, which adds the
      long shortcut and whose first norm starts at zero.
    bits: bit-widths.
    parallel: of its convolutions, see `bnnjax.layers.contraction.Options`.
    rngs: random numbers.
  """

  @checked
  def __init__(
    self,
    in_features: int,
    out_features: int,
    kernel_size: Sequence[int],
    *,
    strides: int = 1,
    closing: bool = False,
    bits: PokeBits = PokeBits(),
    parallel: str = "column",
    rngs: nnx.Rngs,
  ):
    if len(kernel_size) != 2:
      raise ValueError(
        f"`kernel_size` of PokeConv is (height, width), got {kernel_size}."
      )
    if strides not in (1, 2):  # Reshape-Add has no others
      raise ValueError(f"`strides` of PokeConv must be 1 or 2, got {strides}.")
    self.conv = Conv(
      in_features,
      out_features,
      kernel_size,
      strides=strides,
      use_bias=False,
      **bits.body(),
      parallel=parallel,
      rngs=rngs,
    )
    self.norm = batch_norm(out_features, bits, rngs, 0.0 if closing else 1.0)
    self.dprelu = DPReLU(out_features, dtype=bits.dtype)
    self.se = SqueezeExcite(
      in_features, out_features, bits=bits, parallel=parallel, rngs=rngs
    )
    self.out_norm = batch_norm(out_features, bits, rngs)

  def __call__(
    self,
    x: jax.Array,
    mode: Mode | None = None,
    *,
    long_shortcut: jax.Array | None = None,
  ) -> jax.Array:
    """`[N, H, W, in_features] -> [N, H / strides, W / strides, out_features]`."""
    y = self.norm(self.conv(x, mode), mode)
    y = reshape_add(x, y)
    if long_shortcut is not None:
      y = reshape_add(long_shortcut, y, tile=True)
    y, gates = self.dprelu(y), self.se(x, mode)
    with jax.named_scope("se/scale"):
      y = y * gates
    return self.out_norm(y, mode)


class PokeInit(nnx.Module):
  """The stem: a patch convolution and a grouped one, both 8-bit (sec. 3.5).

  Args:
    in_features: image channels.
    features: channels after the first convolution, and groups of the second.
    out_features: channels after the second.
    patch: window and stride of the first, without overlap.
    bits: bit-widths.
    rngs: random numbers.
  """

  @checked
  def __init__(
    self,
    in_features: int = 3,
    features: int = 32,
    out_features: int = 64,
    *,
    patch: int = 4,
    bits: PokeBits = PokeBits(),
    rngs: nnx.Rngs,
  ):
    quantized = bits.uniform(bits.init)
    self.conv = Conv(
      in_features,
      features,
      (patch, patch),
      strides=patch,
      padding="VALID",
      use_bias=False,
      **quantized,
      rngs=rngs,
    )
    self.norm = batch_norm(features, bits, rngs)
    self.dprelu = DPReLU(features, dtype=bits.dtype)
    self.group_conv = Conv(
      features,
      out_features,
      (3, 3),
      groups=features,
      use_bias=False,
      **quantized,
      rngs=rngs,
    )
    self.group_norm = batch_norm(out_features, bits, rngs)
    self.group_dprelu = DPReLU(out_features, dtype=bits.dtype)

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, H / patch, W / patch, out_features]`."""
    x = self.dprelu(self.norm(self.conv(x, mode), mode))
    x = self.group_norm(self.group_conv(x, mode), mode)
    return self.group_dprelu(x)
