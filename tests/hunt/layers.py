"""Layers and models with random arguments, one or two of them wrong."""

import dataclasses
import math
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import bnnjax as bx
from bnnjax import models
from bnnjax.core.progress import DEPLOYED
from bnnjax.layers import (
  activations,
  attention,
  mamba1,
  mamba2,
  norm,
  poke,
  pool,
)
from bnnjax.layers.low_rank import LowRankEstimator

WEIGHTS = (None, "ste", "ste|channel_l1", "xnor_net", "irnet", "half_shift",
           "standardize > float", "dorefa_weight(bits=2)")  # fmt: skip
ACTS = (None, "ste", "approx_sign", "half_shift|fixed(value=3.0)", "dorefa_act")
DTYPES = (None, None, jnp.float32, jnp.bfloat16, "bfloat16")
LOW = {"weight": WEIGHTS, "act": ACTS, "dtype": DTYPES}
SHARED = {
  **LOW,
  "use_bias": (True, False),
  "param_dtype": (jnp.float32, "float32"),
  "output": (None, None, "channel", "rank1", "spatial_l1"),
  "grad": (None, None, "dorefa_grad", "dorefa_grad(bits=4)"),
  "precision": (None, "highest"),
}
IMAGES = {
  "num_classes": (10, 1),
  "image_shape": ((32, 32, 3), [32, 32, 1]),
  "dtype": DTYPES,
}
LOW_IMAGES = {**IMAGES, "weight": ("ste", None, "bireal"),
              "act": ("ste", None, "bireal")}  # fmt: skip
TOKENS = {
  "vocab": (32, 40),
  "features": (16,),
  "blocks": (1, 2),
  "weight": ("fbi_llm", None, "ste|channel_l1"),
  "act": (None, "absmax|token_max"),
  "dtype": DTYPES,
}


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A layer, what its arguments may be, and the shape of its input.

  Attributes:
    make: called with the arguments and `rngs`.
    arguments: values that every argument can take; the first ones are needed.
    shape: of the input, from the arguments; integers below 8 if `tokens`.
  """

  make: Callable[..., nnx.Module]
  arguments: dict[str, tuple[Any, ...]]
  shape: Callable[[dict[str, Any]], tuple[int, ...]]
  tokens: bool = False
  needed: int = 1


def _without_rngs(cls):
  return lambda rngs, **given: cls(**given)


def _model(name):
  return lambda rngs, **given: models.build({"name": name, **given}, rngs=rngs)


def _image(given):
  return (1, *given.get("image_shape", (224, 224, 3)))


def _conv(given):
  return (1, *(6,) * len(given["kernel_size"]), given["in_features"])


def _features(*before):
  """Positions, then as many channels as the layer has."""
  names = ("features", "in_features")
  return lambda given: (
    *before, next((given[k] for k in names if k in given), 8)
  )  # fmt: skip


_SEQUENCE, _MAP = _features(1, 6), _features(2, 6, 6)
LAYERS = {
  "Linear": Recipe(
    bx.Linear,
    {"in_features": (8,), "out_features": (6, 1), **SHARED},
    _features(3),
    needed=2,
  ),
  "Conv": Recipe(
    bx.Conv,
    {
      "in_features": (8,),
      "out_features": (6, 2),
      "kernel_size": ((3, 3), (1, 1), (3,), [2, 3], (2, 2, 2)),
      "strides": (1, 2),
      "padding": ("SAME", "VALID", 0, 1),
      "pad_value": (0, 0, 1, -1),
      "dilation": (1, 2),
      "groups": (1, 2),
      **SHARED,
    },
    _conv,
    needed=3,
  ),
  "Attention": Recipe(
    attention.Attention,
    {
      "features": (8,),
      "heads": (2, 4),
      "kv_heads": (None, 1, 2),
      "mixer": ("softmax", "none"),
      **LOW,
      "query": (None, "ste"),
      "key": (None, "ste"),
      "value": (None, "ste"),
      "probs": (None, "softmax_aware"),
      "residual": (0, 1),
      "causal": (False, True),
      "rotary": (0.0, 10_000.0),
      "use_bias": (True, False),
    },
    _SEQUENCE,
    needed=2,
  ),
  "Mamba1": Recipe(
    mamba1.Mamba1,
    {
      "features": (8,),
      "state": (4, 2),
      "expand": (2, 1),
      "conv": (4, 2),
      "chunk": (4, 64),
      **LOW,
    },
    _SEQUENCE,
  ),
  "Mamba2": Recipe(
    mamba2.Mamba2,
    {
      "features": (8,),
      "head_size": (4, 8),
      "state": (4, 2),
      "expand": (2, 1),
      "conv": (4, 2),
      "groups": (1, 2),
      "chunk": (4, 64),
      **LOW,
    },
    _SEQUENCE,
    needed=2,
  ),
  "ResidualEstimator": Recipe(  # renamed, it would change what is drawn
    LowRankEstimator,
    {"features": (8,), "rank": (1, 2), "dtype": DTYPES},
    _SEQUENCE,
    needed=2,
  ),
  "BatchChannelNorm": Recipe(
    _without_rngs(norm.BatchChannelNorm),
    {
      "features": (8,),
      "groups": (1, 4),
      "statistics": ("batch", "estimate"),
      "momentum": (0.9, 0.0),
      "speed": (0.1, 0.0),
      "epsilon": (1e-5, 1e-3),
    },
    _MAP,
    needed=2,
  ),
  "DPReLU": Recipe(
    activations.DPReLU, {"features": (8,), "dtype": DTYPES}, _MAP
  ),
  "PReLU": Recipe(
    _without_rngs(activations.PReLU),
    {"features": (8,), "slope": (0.25, 0, 1.0)},
    _MAP,
  ),
  "RPReLU": Recipe(_without_rngs(activations.RPReLU), {"features": (8,)}, _MAP),
  "Pool": Recipe(
    _without_rngs(pool.Pool),
    {
      "kind": ("max", "avg"),
      "window": (2, 3),
      "strides": (1, 2),
      "padding": ("SAME", "VALID"),
    },
    _MAP,
    needed=3,
  ),
  "BlurPool": Recipe(
    _without_rngs(pool.BlurPool), {"features": (8,), "strides": (1, 2)}, _MAP
  ),
  "PokeConv": Recipe(
    poke.PokeConv,
    {
      "in_features": (8,),
      "out_features": (8, 16),
      "kernel_size": ((3, 3), (1, 1)),
      "strides": (1, 2),
      "closing": (False, True),
    },
    _MAP,
    needed=3,
  ),
  "SqueezeExcite": Recipe(
    poke.SqueezeExcite,
    {"in_features": (8,), "out_features": (8,)},
    _MAP,
    needed=2,
  ),
}
MODELS = {
  "mlp": Recipe(
    _model("mlp"),
    {
      "num_classes": (10, 2),
      "image_shape": ((8, 8, 1), [4, 4, 3]),
      "hidden": ((8,), (8, 4), ()),
      "weight": WEIGHTS,
      "act": ACTS,
      "dtype": DTYPES,
    },
    _image,
    needed=2,
  ),
  "resnet": Recipe(
    _model("resnet"),
    {
      **LOW_IMAGES,
      "width": (0.125, 0.25),
      "variant": ("18", "20"),
      "layout": ("plain", "bireal"),
    },
    _image,
    needed=4,
  ),
  "vgg_small": Recipe(
    _model("vgg_small"), {**LOW_IMAGES, "width": (0.125,)}, _image, needed=3
  ),
  "quicknet": Recipe(
    _model("quicknet"),
    {**LOW_IMAGES, "width": (0.25, 0.125), "variant": ("small", "medium")},
    _image,
    needed=4,
  ),
  "pokebnn": Recipe(
    _model("pokebnn"),
    {
      **IMAGES,
      "stages": (((16, 1), (16, 1)), [(8, 1)]),
      "width": (1.0, 0.5),
      "patch": (4, 2),
      "init_features": (8,),
      "stem_features": (16,),
      "quant_start": (0.0625, 0),
    },
    _image,
    needed=4,
  ),
  "vit": Recipe(
    _model("vit"),
    {
      **LOW_IMAGES,
      "features": (16,),
      "heads": (2,),
      "blocks": (1, 2),
      "patch": (16, 8),
    },
    _image,
    needed=5,
  ),
  "bert": Recipe(
    _model("bert"),
    {
      "num_classes": (None, 3),
      "vocab": (32,),
      "features": (16,),
      "blocks": (1,),
      "heads": (2,),
      "hidden": (32,),
      "max_len": (16,),
      "dtype": DTYPES,
    },
    lambda given: (1, 6),
    tokens=True,
    needed=7,
  ),
  "decoder": Recipe(
    _model("decoder"),
    {
      **TOKENS,
      "heads": (2, 4),
      "hidden": (32,),
      "max_len": (16,),
      "kv_heads": (None, 1),
    },
    lambda given: (1, 6),
    tokens=True,
    needed=8,
  ),
  "mamba": Recipe(
    _model("mamba"),
    {
      **TOKENS,
      "head_size": (8,),
      "state": (4,),
      "chunk": (4, 8),
      "kind": ("mamba2", "mamba1"),
      "groups": (1,),
    },
    lambda given: (1, 6),
    tokens=True,
    needed=7,
  ),
}
WRONG = (
  None, True, -1, 0, 1, 3, 5, 1.5, 2.0, -0.5, "x", "", "SAME", "ste", (), (1,),
  (1, 1), (1, 2, 3), [3, 3], [], {}, {"a": 1}, np.int64(2), np.int32(0),
  np.float32(2), 10**20, 2**31, -(2**31), float("nan"), float("inf"), 1j, b"x",
  ((0, 1), (1, 0)), ((1, 1),), ((-1, 0), (0, 0)), np.arange(2), np.array(2),
  len, object, "float99", "same", ("ste",), 300, range(2), {1, 2}, jnp.int32,
  "ste|affine", "affine", "ste(clip=-1)", "group_l1",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
  """A layer's name and its arguments."""

  name: str
  given: dict[str, Any]

  def __str__(self):
    given = ", ".join(f"{k}={v!r}" for k, v in self.given.items())
    return f"{self.name}({given})"[:400]


def draw(r: random.Random, table=None) -> Case:
  """A random layer, or a model one time in four."""
  table = table or (LAYERS if r.random() < 0.75 else MODELS)
  name = r.choice(sorted(table))
  recipe = table[name]
  names = list(recipe.arguments)
  given = {
    k: r.choice(recipe.arguments[k])
    for i, k in enumerate(names)
    if i < recipe.needed or r.random() < 0.4
  }
  for _ in range(r.choice((0, 1, 1, 2))):
    given[r.choice(names)] = r.choice(WRONG)
  if r.random() < 0.03:
    given[r.choice(("wieght", "nothing", "in_feature"))] = 1
  if r.random() < 0.03:
    given.pop(r.choice(list(given)))
  return Case(name, given)


def recipe_of(case: Case) -> Recipe:
  return (LAYERS | MODELS)[case.name]


def build(case: Case) -> nnx.Module:
  """The module with shapes for arrays; what may be refused."""
  recipe = recipe_of(case)
  return models.abstract(lambda rngs: recipe.make(**case.given, rngs=rngs))


def use(case: Case, module: nnx.Module) -> None:
  """Forward and gradient: a layer with numbers, a model (slower) by shapes."""
  recipe = recipe_of(case)
  shape = recipe.shape(case.given)
  if math.prod(shape) > 1e6:
    return  # built, which is all that a machine can do with it
  if recipe.tokens:
    x = jnp.asarray(np.arange(np.prod(shape)).reshape(shape) % 8)
  else:
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
  graph, *states = nnx.split(module, nnx.Param, ...)
  params, rest = map(nnx.to_pure_dict, states)
  training = bx.Mode.training(bx.Progress.at(3, 10, 2.0))

  def loss(params, rest, x, mode):
    layer = nnx.merge(graph, params, rest)
    y = _called(layer, x, mode)
    return jnp.sum(y.astype(jnp.float32)), y

  step = jax.value_and_grad(loss, has_aux=True)
  size = sum(v.size for v in jax.tree.leaves((params, rest)))
  for mode in (DEPLOYED, training):
    if case.name in MODELS or size > 1e5:
      out = jax.eval_shape(lambda *a, m=mode: step(*a, m), params, rest, x)
      grads = out[1]
    else:
      filled = _filled((params, rest))
      (_, y), grads = step(*filled, x, mode)
      for leaf in jax.tree.leaves((y, grads)):
        assert np.all(np.isfinite(np.asarray(leaf, np.float32))), "not finite"
    old = [p.dtype for p in jax.tree.leaves(params)]
    assert old == [g.dtype for g in jax.tree.leaves(grads)], "gradient dtypes"


def _called(layer, x, mode):
  """Each layer's own way of being called."""
  if isinstance(layer, LowRankEstimator):
    return layer.scores(x, mode) + layer.values(x, mode)[:, None, None]
  y = layer(x, mode)
  return jax.tree.leaves(y)[0]


def _filled(tree):
  """Fills shapes with numbers, positive ones if they may be variances."""
  rng = np.random.default_rng(1)

  def fill(v):
    if not jnp.issubdtype(v.dtype, jnp.floating):
      return jnp.zeros(v.shape, v.dtype)
    return jnp.asarray(rng.uniform(0.1, 0.9, v.shape), v.dtype)

  return jax.tree.map(fill, tree)
