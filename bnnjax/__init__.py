"""bnnjax: binary and extreme-low-bit neural networks in JAX.

  import bnnjax as bx

  layer = bx.Linear(256, 512, weight="ste|channel_l1", act="ste", rngs=rngs)
  report = bx.count(layer, jax.ShapeDtypeStruct((1, 256), jnp.float32))

Names are imported when first used, so that `import bnnjax` stays quick.
"""

import importlib

from bnnjax import deprecated

_NAMES = {
  "Binarize": "bnnjax.layers.binarize",
  "Binarizer": "bnnjax.core.binarizer",
  "BitTag": "bnnjax.core.bits",
  "Collector": "bnnjax.core.collector",
  "Conv": "bnnjax.layers.conv",
  "ConvTranspose": "bnnjax.layers.conv_transpose",
  "Estimator": "bnnjax.core.estimator",
  "LatentWeight": "bnnjax.layers.variables",
  "Linear": "bnnjax.layers.linear",
  "Mode": "bnnjax.core.progress",
  "Progress": "bnnjax.core.progress",
  "Quantized": "bnnjax.core.quantized",
  "QuantizedWeight": "bnnjax.layers.quantized_weight",
  "Task": "bnnjax.tasks.base",
  "Term": "bnnjax.core.quantized",
  "WeightTerm": "bnnjax.layers.weight_terms",
  "ablate": "bnnjax.evidence.ablate",
  "binarize": "bnnjax.convert.modules",
  "binarize_fn": "bnnjax.convert.functions",
  "build": "bnnjax.models",
  "check": "bnnjax.core.check",
  "collect": "bnnjax.layers.collect",
  "collector": "bnnjax.core.collector",
  "conv": "bnnjax.core.dot_and_conv",
  "conv_transpose": "bnnjax.core.conv_transpose",
  "count": "bnnjax.cost",
  "deployed_weight": "bnnjax.layers.deployed_weight",
  "dot": "bnnjax.core.dot_and_conv",
  "einsum": "bnnjax.core.einsum",
  "estimator": "bnnjax.core.estimator",
  "load": "bnnjax.train.runs",
  "method": "bnnjax.core.method",
  "model": "bnnjax.core.decorators",
  "pack_signs": "bnnjax.core.packing",
  "parse": "bnnjax.core.spec",
  "registered": "bnnjax.core.registry",
  "scale": "bnnjax.core.scale",
  "set_progress": "bnnjax.layers.mode",
  "sign": "bnnjax.core.numerics",
  "source": "bnnjax.core.decorators",
  "tag": "bnnjax.core.bits",
  "task": "bnnjax.core.decorators",
  "transform": "bnnjax.core.transform",
  "unbinarize": "bnnjax.convert.modules",
  "unpack_signs": "bnnjax.core.packing",
  "weight_variable": "bnnjax.layers.variables",
}
_MODULES = ("report",)  # reading records needs neither jax nor the methods
__all__ = sorted([*_NAMES, *_MODULES, "__version__"])

deprecated.install()


def __getattr__(name: str):
  if name == "__version__":
    metadata = importlib.import_module("importlib.metadata")
    return metadata.version("bnnjax")  # of pyproject.toml
  if name in _MODULES:
    return importlib.import_module(f"bnnjax.{name}")
  if name not in _NAMES:
    raise AttributeError(f"module 'bnnjax' has no attribute {name!r}")
  importlib.import_module("bnnjax.methods")  # registers every method's names
  value = getattr(importlib.import_module(_NAMES[name]), name)
  globals()[name] = value
  return value


def __dir__():
  return __all__
