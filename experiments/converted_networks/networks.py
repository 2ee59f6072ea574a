"""The networks: written from flax's public layers, and of installed packages."""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from tests.convert import networks as written

RULE = {"weight": "ste|learned", "act": "ste"}
MEASURED = {"weight": "ste|channel_l1", "act": "ste"}  # nothing to start


@dataclasses.dataclass(frozen=True)
class Package:
  """A package: its name where it is published, and the module to import."""

  name: str
  module: str

  def get(self, path: str) -> Any:
    """An object of the package, e.g. `"models.vit.ViT"` below its module."""
    module, _, name = f"{self.module}.{path}".rpartition(".")
    return getattr(importlib.import_module(module), name)


@dataclasses.dataclass(frozen=True)
class Made:
  """A network, ready to be called.

  Attributes:
    model: an `nnx.Module`, or the parameters of a function.
    args: what it is called with.
    fn: `fn(params, *args)` gives logits; `None` for a module.
    logits: of what a module returns.
  """

  model: Any
  args: tuple
  fn: Callable[..., Any] | None = None
  logits: Callable[[Any], jax.Array] = lambda y: y


@dataclasses.dataclass(frozen=True)
class Network:
  """A network and how it is converted.

  Attributes:
    package: where it is from.
    path: the class, below the package's module.
    make: `make(class)` is `Made`.
    layers: the pattern of the layers to binarize.
    rule: what to do with them.
    abstract: whether it is converted as shapes alone.
  """

  package: Package
  path: str
  make: Callable[[Any], Made]
  layers: str = ".*"
  rule: Mapping[str, str] = dataclasses.field(default_factory=lambda: RULE)
  abstract: bool = False

  def made(self) -> Made:
    """The network with its arguments."""
    return self.make(self.package.get(self.path))

  def shapes(self) -> Made:
    """The network without memory."""
    made = {}

    def model():
      made["it"] = self.made()
      return made["it"].model

    shapes = nnx.eval_shape(model)
    args = jax.eval_shape(lambda: self.made().args)
    return dataclasses.replace(made["it"], model=shapes, args=args)


FLAX = Package("flax", "flax")
TUNIX = Package("google-tunix", "tunix")
MAMBA = Package("mamba2-jax", "mamba2_jax")
ARTIFEX = Package("avitai-artifex", "artifex")
HF = Package("transformers", "transformers")
MODELS = Package("flaxmodels", "flaxmodels")

IDS = functools.partial(jnp.zeros, dtype=jnp.int32)


def images(size: int, batch: int = 2) -> jax.Array:
  """Images of noise."""
  return jax.random.normal(jax.random.key(0), (batch, size, size, 3))


def ids(length: int, vocab: int) -> jax.Array:
  """Two texts of noise."""
  return jax.random.randint(jax.random.key(0), (2, length), 0, vocab)


def of_flax(network: type, width: int, **options) -> Network:
  """A network of NNX, written in the tests."""

  def make(_):
    return Made(network(nnx.Rngs(0), width), (written.batch(network),))

  return Network(FLAX, "nnx.Module", make, **options)


def of_linen(network: type, width: int, shape: tuple, layers: str) -> Network:
  """A network of Linen, written in the tests."""

  def make(_):
    x = jax.random.normal(jax.random.key(1), shape)
    model = network(width)
    return Made(model.init(jax.random.key(0), x), (x,), model.apply)

  return Network(FLAX, "linen.Module", make, layers)


def llama(cls, published=False):
  """A small Llama 3, or the published one of 8e9 weights."""
  config = TUNIX.get("models.llama3.model.ModelConfig")
  small = {
    "num_layers": 4,
    "vocab_size": 2048,
    "embed_dim": 1024,
    "hidden_dim": 4096,
    "num_heads": 16,
    "head_dim": 64,
    "num_kv_heads": 8,
    "rope_theta": 500_000,
    "norm_eps": 1e-5,
  }
  made = config.llama3p1_8b() if published else config(**small)
  n = 32
  order = jnp.broadcast_to(jnp.arange(n), (2, n))
  mask = jnp.broadcast_to(jnp.tril(jnp.ones((n, n), bool)), (2, n, n))
  args = ids(n, made.vocab_size), order, None, mask
  return Made(cls(made, rngs=nnx.Rngs(0)), args, logits=lambda y: y[0])


def as_function(make: Callable[[Any], Made]) -> Callable[[Any], Made]:
  """A module as a function of its state."""

  def made(cls):
    it = make(cls)
    graph, state = nnx.split(it.model)
    fn = lambda state, *args: it.logits(nnx.merge(graph, state)(*args))  # noqa: E731
    return Made(state, it.args, fn)

  return made


def mamba(cls):
  config = MAMBA.get("Mamba2Config")(
    vocab_size=2048, hidden_size=1280, num_hidden_layers=4
  )
  return Made(
    cls(config, rngs=nnx.Rngs(0)), (ids(32, 2048),),
    logits=lambda y: y["logits"],
  )  # fmt: skip


def dit(cls):
  model = cls(
    img_size=16, hidden_size=1024, depth=4, num_classes=10, rngs=nnx.Rngs(0)
  )
  return Made(model, (images(16), jnp.ones((2,)), IDS((2,))))


def unet(cls):
  config = ARTIFEX.get(
    "generative_models.core.configuration.UNetBackboneConfig"
  )
  made = config(
    name="unet",
    hidden_dims=(96, 192, 384, 768),
    activation="gelu",
    in_channels=3,
    out_channels=3,
    time_embedding_dim=128,
  )
  return Made(cls(made, rngs=nnx.Rngs(0)), (images(16), jnp.ones((2,))))


def hugging_face(config: str, args: Callable[[], tuple], **options):
  """A Flax network of the library `transformers`, with random weights."""

  def make(cls):
    model = cls(HF.get(config)(**options))
    fn = lambda params, x: model(x, params=params).logits  # noqa: E731
    return Made(model.params, args(), fn)

  return make


def resnet18(cls):
  model = cls(output="logits", pretrained=None, num_classes=10)
  x = images(32)
  fn = functools.partial(model.apply, train=False)
  return Made(model.init(jax.random.key(0), x, train=False), (x,), fn)


SIZES = dict(
  hidden_size=512, num_hidden_layers=4, num_attention_heads=8,
  intermediate_size=2048,
)  # fmt: skip
NETWORKS = {
  "ResNet": of_flax(written.ResNet, 1024),
  "ViT": of_flax(written.ViT, 1024),
  "U-Net, transposed convolution": of_flax(written.UNet, 768),
  "LSTM": of_flax(written.Recurrent, 1536),
  "mixture of experts, einsum": of_flax(
    written.Experts, 1536, rule=MEASURED
  ),
  "stacked layers, scan": of_flax(written.Stacked, 2048),
  "ViT of 4.3e9 weights": of_flax(written.ViT, 16384, abstract=True),
  "ResNet, Linen": of_linen(
    written.LinenResNet, 1024, (4, 6, 6, 2), r".*Conv_\d\.kernel"
  ),
  "transformer, Linen, scan and remat": of_linen(
    written.LinenTransformer, 1024, (4, 3, 5), r".*blocks.*kernel"
  ),
  "Llama 3": Network(TUNIX, "models.llama3.model.Llama3", llama),
  "Llama 3 as a function": Network(
    TUNIX, "models.llama3.model.Llama3", as_function(llama), r"layers\..*"
  ),
  "Llama 3.1 8B": Network(
    TUNIX,
    "models.llama3.model.Llama3",
    functools.partial(llama, published=True),
    abstract=True,
  ),
  "Mamba-2": Network(MAMBA, "Mamba2ForCausalLM", mamba),
  "DiT": Network(ARTIFEX, "generative_models.models.backbones.dit.DiffusionTransformer", dit),
  "diffusion U-Net": Network(ARTIFEX, "generative_models.models.backbones.unet.UNet", unet, rule=MEASURED),
  "BERT": Network(
    HF,
    "FlaxBertForMaskedLM",
    hugging_face(
      "BertConfig", lambda: (ids(32, 2048),), vocab_size=2048, **SIZES
    ),
    r"bert\.encoder.*kernel",
  ),
  "GPT-2": Network(
    HF,
    "FlaxGPT2LMHeadModel",
    hugging_face(
      "GPT2Config", lambda: (ids(32, 2048),),
      vocab_size=2048, n_embd=512, n_layer=4, n_head=8,
    ),
    r"transformer\.h\..*kernel",
  ),
  "ViT of Hugging Face": Network(
    HF,
    "FlaxViTForImageClassification",
    hugging_face(
      "ViTConfig", lambda: (jnp.moveaxis(images(32), -1, 1),),
      image_size=32, patch_size=8, num_labels=10, **SIZES,
    ),
    r"vit\.encoder.*kernel",
  ),
  "ResNet-18": Network(MODELS, "ResNet18", resnet18, r".*Conv_\d\.kernel"),
}  # fmt: skip
