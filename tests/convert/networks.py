"""Networks of flax's public layers alone: of NNX, and of Linen."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

RULE = {"weight": "ste|channel_l1", "act": "ste"}


class ResNet(nnx.Module):
  """Two residual blocks with batch normalization, one with a stride."""

  def __init__(self, rngs, width=8):
    self.stem = nnx.Conv(3, width, (3, 3), use_bias=False, rngs=rngs)
    self.convs = nnx.List(
      nnx.Conv(
        width, width, (3, 3), strides=s, feature_group_count=s, rngs=rngs
      )
      for s in (1, 2)
    )
    self.norms = nnx.List(nnx.BatchNorm(width, rngs=rngs) for _ in range(2))
    self.shortcut = nnx.Conv(width, width, (1, 1), strides=2, rngs=rngs)
    self.head = nnx.Linear(width, 4, rngs=rngs)

  def __call__(self, x):
    x = self.stem(x)
    x = x + nnx.relu(self.norms[0](self.convs[0](x)))
    x = self.shortcut(x) + nnx.relu(self.norms[1](self.convs[1](x)))
    return self.head(x.mean((1, 2)))

  example = (8, 8, 3)


class Block(nnx.Module):
  """A transformer block."""

  def __init__(self, width, rngs):
    self.norm = nnx.LayerNorm(width, rngs=rngs)
    self.attention = nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs)
    self.up = nnx.Linear(width, 2 * width, rngs=rngs)
    self.down = nnx.Linear(2 * width, width, rngs=rngs)

  def __call__(self, x):
    x = x + self.attention(self.norm(x))
    return x + self.down(nnx.gelu(self.up(x)))


class ViT(nnx.Module):
  """A vision transformer."""

  def __init__(self, rngs, width=8):
    self.patch = nnx.Conv(
      3, width, (4, 4), strides=4, padding="VALID", rngs=rngs
    )
    self.blocks = nnx.List(Block(width, rngs) for _ in range(2))
    self.head = nnx.Linear(width, 4, rngs=rngs)

  def __call__(self, x):
    x = self.patch(x)
    x = x.reshape(len(x), -1, x.shape[-1])
    for block in self.blocks:
      x = block(x)
    return self.head(x.mean(1))

  example = (8, 8, 3)


class UNet(nnx.Module):
  """Down and up again, with a transposed convolution."""

  def __init__(self, rngs, width=8):
    self.stem = nnx.Conv(3, width, (3, 3), rngs=rngs)
    self.down = nnx.Conv(width, width, (3, 3), strides=2, rngs=rngs)
    self.up = nnx.ConvTranspose(width, width, (2, 2), strides=2, rngs=rngs)
    self.mixed = nnx.Conv(2 * width, width, (3, 3), rngs=rngs)
    self.head = nnx.Conv(width, 4, (1, 1), rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.stem(x))
    up = self.up(nnx.relu(self.down(x)))
    x = nnx.relu(self.mixed(jnp.concatenate([x, up], -1)))
    return self.head(x).mean((1, 2))

  example = (8, 8, 3)


class Recurrent(nnx.Module):
  """Words through an LSTM."""

  def __init__(self, rngs, width=8):
    self.words = nnx.Embed(16, width, rngs=rngs)
    self.rnn = nnx.RNN(nnx.LSTMCell(width, width, rngs=rngs), rngs=rngs)
    self.head = nnx.Linear(width, 4, rngs=rngs)

  def __call__(self, ids):
    return self.head(self.rnn(self.words(ids))[:, -1])

  example = (5,)


class Experts(nnx.Module):
  """A mixture of experts as two einsums."""

  def __init__(self, rngs, width=8):
    shape = 2, width, 2 * width
    self.stem = nnx.Linear(6, width, rngs=rngs)
    self.gate = nnx.Linear(width, 2, rngs=rngs)
    self.up = nnx.Einsum("btd,edf->betf", shape, (2, 2 * width), rngs=rngs)
    self.down = nnx.Einsum("betf,edf->betd", shape, rngs=rngs)
    self.head = nnx.LinearGeneral((width,), (2, 2), rngs=rngs)

  def __call__(self, x):
    x = self.stem(x)
    gates = nnx.softmax(self.gate(x))
    x = jnp.einsum(
      "betd,bte->btd",
      self.down(nnx.relu(self.up(x))),
      gates,
    )
    return self.head(x.mean(1)).reshape(len(x), -1)

  example = (3, 6)


class Stacked(nnx.Module):
  """Layers in one scan, whose kernels are stacked."""

  def __init__(self, rngs, width=8):
    @nnx.split_rngs(splits=3)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def made(rngs):
      return nnx.Linear(width, width, rngs=rngs)

    self.stem = nnx.Linear(6, width, rngs=rngs)
    self.blocks = made(rngs)
    self.head = nnx.Linear(width, 4, rngs=rngs)

  def __call__(self, x):
    @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
    def scanned(layer, x):
      return x + nnx.relu(layer(x))

    return self.head(scanned(self.blocks, self.stem(x)).mean(1))

  example = (3, 6)


class Around(nnx.Module):
  """A layer between two others that stay float."""

  def __init__(self, layer):
    self.layer = layer
    self.ends = nnx.List([nnx.Linear(1, 1, rngs=nnx.Rngs(0)) for _ in "ab"])

  def __call__(self, x):
    self.ends[0](jnp.ones((1, 1)))
    y = self.layer(x)
    self.ends[1](jnp.ones((1, 1)))
    return y


ALL = (ResNet, ViT, UNet, Recurrent, Experts, Stacked)


def batch(network):
  """Two examples of a network."""
  shape = (2, *network.example)
  if network is Recurrent:
    return jax.random.randint(jax.random.key(0), shape, 0, 16)
  return jax.random.normal(jax.random.key(0), shape)


class LinenResNet(nn.Module):
  """Two residual blocks with batch normalization, one with a stride."""

  width: int = 4

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.Conv(self.width, (3, 3), name="stem")(x)
    for s in (1, 2):
      y = nn.Conv(self.width, (3, 3), strides=s, use_bias=False)(x)
      x = nn.relu(nn.BatchNorm(not train)(y)) + x[:, ::s, ::s]
    return nn.Dense(3, name="head")(x.mean((1, 2)))


class LinenBlock(nn.Module):
  """A transformer block for `nn.scan`."""

  @nn.compact
  def __call__(self, x, _):
    attention = nn.MultiHeadDotProductAttention(2, name="attention")
    h = attention(nn.LayerNorm()(x))
    return x + nn.Dense(x.shape[-1])(nn.gelu(x + h)), None


class LinenTransformer(nn.Module):
  """Two blocks in a scan, rematerialized."""

  width: int = 8

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(self.width, name="stem")(x)
    block = nn.scan(
      nn.remat(LinenBlock, prevent_cse=False),
      variable_axes={"params": 0},
      split_rngs={"params": True},
      length=2,
    )
    x, _ = block(name="blocks")(x, None)
    return nn.Dense(3, name="head")(x.mean(1))
