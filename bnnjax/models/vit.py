"""Vision transformers (ViT, DeiT).

An Image is Worth 16x16 Words, Dosovitskiy et al., ICLR 2021, arXiv:2010.11929;
sizes tiny and small from DeiT, Touvron et al., ICML 2021, arXiv:2012.12877.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax.core import registry
from bnnjax.core.progress import Mode
from bnnjax.layers.conv import Conv
from bnnjax.layers.dropout import Dropout
from bnnjax.layers.intermediates import sow
from bnnjax.layers.linear import Linear, Spec
from bnnjax.layers.transformer import Encoder, EncoderBlock
from bnnjax.models.checks import check_image_shape

INIT = nnx.initializers.truncated_normal(0.02)


class Plan(NamedTuple):
  """Width, number of heads and blocks; the MLP is four times as wide."""

  features: int
  heads: int
  blocks: int = 12


VARIANTS = {
  "tiny": Plan(192, 3),
  "small": Plan(384, 6),
  "base": Plan(768, 12),
  "large": Plan(1024, 16, 24),
}


@registry.register("model", "vit")
class ViT(nnx.Module):
  """Patches, a class token, pre-norm encoder blocks, a linear head.

  Patch embedding, position embedding, norms and head are float.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`, sides multiples of `patch`.
    variant: "tiny", "small", "base" (DeiT's and ViT's sizes) or "large".
    patch: side of a patch.
    features, heads, blocks: sizes; by default those of the variant.
    weight, act: binarizers of all linear layers of the blocks.
    attention, mlp_weight, mlp_act: see `Encoder`.
    edge_weight, edge_act: binarizers of the patch embedding and of the head.
    dropout: rate in training for the embeddings and the outputs of attention
      and MLP; the paper also has it inside the MLP, see `Dropout`.
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant, or an image that patches do not tile.
  """

  def __init__(
    self,
    num_classes: int = 1000,
    image_shape: Sequence[int] = (224, 224, 3),
    *,
    variant: str = "tiny",
    patch: int = 16,
    features: int | None = None,
    heads: int | None = None,
    blocks: int | None = None,
    weight: Spec = "ste|channel_l1",
    act: Spec = "ste",
    attention: str | Mapping[str, Any] | None = None,
    mlp_weight: Spec = None,
    mlp_act: Spec = None,
    edge_weight: Spec = None,
    edge_act: Spec = None,
    dropout: float = 0.0,
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    check_image_shape(image_shape)
    plan = registry.pick("ViT variant", variant, VARIANTS)
    height, width, channels = image_shape
    if height % patch or width % patch:
      raise ValueError(
        f"Patches of {patch}x{patch} do not tile an image of"
        f" {tuple(image_shape)}."
      )
    edge = {"weight": edge_weight, "act": edge_act, "dtype": dtype}
    size = features or plan.features
    encoder = Encoder(
      size,
      heads or plan.heads,
      4 * size,
      weight=weight,
      act=act,
      attention=attention,
      mlp_weight=mlp_weight,
      mlp_act=mlp_act,
      dropout=dropout,
      dtype=dtype,
    )
    self.patches = Conv(
      channels,
      size,
      (patch, patch),
      strides=patch,
      padding="VALID",
      rngs=rngs,
      **edge,
    )
    tokens = 1 + (height // patch) * (width // patch)
    self.class_token = nnx.Param(jnp.zeros((1, 1, size)))
    self.position = nnx.Param(INIT(rngs.params(), (1, tokens, size)))
    self.dropout = Dropout(dropout, rngs=rngs)
    self.blocks = nnx.List(
      EncoderBlock(encoder, rngs=rngs)
      for _ in range(plan.blocks if blocks is None else blocks)
    )
    self.norm = encoder.layer_norm(rngs)
    self.head = Linear(size, num_classes, rngs=rngs, **edge)

  def __call__(self, x: jax.Array, mode: Mode | None = None) -> jax.Array:
    """`[N, H, W, C] -> [N, num_classes]`."""
    x = self.patches(x, mode)
    x = x.reshape(x.shape[0], -1, x.shape[-1])
    first = jnp.broadcast_to(
      self.class_token[...].astype(x.dtype), (x.shape[0], 1, x.shape[-1])
    )
    x = jnp.concatenate([first, x], axis=1)
    x = self.dropout(x + self.position[...].astype(x.dtype), mode)
    sow(self, mode, hidden_states=x)
    for block in self.blocks:
      x = block(x, mode)
      sow(self, mode, hidden_states=x)
    return self.head(self.norm(x)[:, 0], mode)
