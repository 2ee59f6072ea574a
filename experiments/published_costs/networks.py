"""Networks and single layers behind published cost rows."""

import functools
import json
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
from flax import nnx

from bnnjax import models
from bnnjax.core.bits import BitTag, tag
from bnnjax.cost import count
from bnnjax.cost.report import Report

IMAGE, TOKENS = (224, 224, 3), (128,)


def spec(bits: int, role: str) -> str | None:
  """A binarizer of so many bits; from 16 on a value is float."""
  if bits >= 16:
    return None
  scale = "channel_max" if role == "weight" else "ema_bound"
  return "ste" if bits == 1 else f"symmetric(bits={bits})|{scale}"


def operands(w: int, a: int, prefix: str = "") -> dict:
  """`weight=` and `act=` of two widths."""
  return {
    f"{prefix}weight": spec(w, "weight"),
    f"{prefix}act": spec(a, "act"),
  }


def resnet(variant: str, w: int, a: int, edge: int | None = None, **more):
  """A ResNet of uniform widths, first and last layer perhaps wider."""
  ends = operands(edge or w, edge or a, "edge_")
  return {
    "name": "resnet",
    "variant": variant,
    **operands(w, a),
    **ends,
    **more,
  }


def bert(w: int, a: int, **sizes) -> dict:
  """BiBERT's choice of tensors; position and type tables stay float."""
  act = spec(a, "act")
  inside = {"attention": dict.fromkeys(("query", "key", "value", "probs"), act)}
  outside = operands(w, a, "pooler_") | {"embedding": spec(w, "weight")}
  return {"name": "bert", **operands(w, a), **inside, **outside, **sizes}


def method(name: str, what: str) -> dict:
  """A network all of whose parts are of one method."""
  parts = ("weight", "act", "attention", "embedding")
  parts += ("pooler_weight", "pooler_act")
  return {"name": name, **dict.fromkeys(parts, what)}


def llm(weight: str, features: int, hidden: int, blocks: int) -> dict:
  """BitNet b1.58's LLaMA of 32,000 tokens, the rest in 16 bits."""
  sizes = {"features": features, "hidden": hidden, "blocks": blocks}
  return {"name": "decoder", "weight": weight, "heads": 32, **sizes}


def larq(name: str, variant: str | None = None, **more) -> dict:
  return {"name": name, **({"variant": variant} if variant else {}), **more}


HAWQ = {"version": "v1", "activation": "relu"}
SMALL = {"features": 312, "hidden": 1200, "blocks": 4, "heads": 12}  # TinyBERT
BIREAL = larq("resnet", layout="bireal")
BNN = larq("resnet")
REACT_A = larq("reactnet", "A")
# The model (and variant) of a published row -> arguments of `models.build`.
NETWORKS = {
  **{
    f"PokeBNN-{w}x": {"name": "pokebnn", "width": w}
    for w in (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
  },
  "ReActNet-Adam": REACT_A,
  **{f"ReActNet-{v}": larq("reactnet", v) for v in "ABC"},
  "ReActNet (Bi-Real based)": larq("resnet", layout="react"),
  "BNN": BNN,
  "XNOR-Net": BNN,
  "Bi-RealNet-18": BIREAL,
  "Bi-RealNet-34": larq("resnet", "34", layout="bireal"),
  "Real-to-Binary Net": larq("resnet", layout="real_to_binary"),
  **{
    f"ResNet-50 W{b}A{b}": resnet("50", b, b, dtype="bfloat16")
    for b in (16, 8, 4)
  },
  "resnet50-binary-0001": larq("resnet", "50", projection="float"),
  "QuickNetSmall": larq("quicknet", "small"),
  "QuickNet": larq("quicknet", "medium"),
  "QuickNetLarge": larq("quicknet", "large"),
  "RealToBinaryNet": larq("resnet", layout="real_to_binary"),
  "BinaryDenseNet28": larq("binary_densenet", "28"),
  "BinaryDenseNet37": larq("binary_densenet", "37"),
  "BinaryDenseNet37Dilated": larq("binary_densenet", "37_dilated"),
  "BinaryDenseNet45": larq("binary_densenet", "45"),
  **{f"MeliusNet{n}": larq("meliusnet", n) for n in ("22", "29", "42", "59")},
  "BinaryResNetE18": larq("resnet", layout="resnet_e"),
  "BiRealNet": BIREAL,
  "XNORNet": larq("binary_alexnet", "xnor"),
  "BinaryAlexNet": larq("binary_alexnet", "binary"),
  **{
    f"ResNet{d} {name}": resnet(d, b, b, edge, **HAWQ)
    for d in ("18", "50")
    for name, b, edge in (("FP32", 32, 32), ("W8A8", 8, 8), ("W4A4", 4, 8))
  },
  "BERT": bert(32, 32),
  "BERT-base (BiBERT paper)": bert(32, 32),
  "BERT-base 6L": bert(32, 32, blocks=6),
  "BERT-base 4L": bert(32, 32, **SMALL),
  "BiBERT 6L": bert(1, 1, blocks=6),
  "BiBERT 4L": bert(1, 1, **SMALL),
  "BiBERT": bert(1, 1),
  **{
    f"{m} 1-1-{a} (W-E-A)": bert(1, a)
    for m in ("BinaryBERT", "BiT*")
    for a in (1, 2, 4)
  },
  "BiPFT": method("bert", "bipft"),
  "BitNet b1.58 700M": llm("bitnet_b158", 1536, 4096, 24),
  "BitNet b1.58 3B": llm("bitnet_b158", 3200, 8640, 26),
  "TernaryBERT 2-2-2": bert(2, 2),
  "TernaryBERT 2-2-1": bert(2, 1),
}


def of_row(row: dict) -> str | None:
  """Key of `NETWORKS` for a row of the csv."""
  names = (f"{row['model']} {row['variant']}", row["model"])
  return next((n for n in names if n in NETWORKS), None)


def describe(network: str) -> str:
  """Name, arguments, widths: `resnet variant=50 version=v1 w4a4 edge w8a8`."""
  arguments = NETWORKS[network]
  plain = {k: v for k, v in arguments.items() if not _is_spec(k)}
  words = [plain.pop("name"), *(f"{k}={v}" for k, v in plain.items())]
  if "weight" in arguments:
    named = isinstance(arguments["weight"], str) and not _widths(arguments)
    words.append(arguments["weight"] if named else _widths(arguments))
  if "edge_weight" in arguments:
    words.append(f"edge {_widths(arguments, 'edge_')}")
  return " ".join(words)


def _is_spec(key: str) -> bool:
  return key in ("attention", "embedding") or key.endswith(("weight", "act"))


def _widths(arguments: dict, prefix: str = "") -> str:
  """`w1a4`; the inverse of `operands`."""
  roles = {"weight": "w", "act": "a"}
  found = {
    letter: bits
    for role, letter in roles.items()
    for bits in (1, 2, 4, 8, 32)
    if spec(bits, role) == arguments.get(prefix + role)
  }
  found = found if "w" in found else {}  # a method is named in words
  return "".join(f"{letter}{bits}" for letter, bits in found.items())


@functools.lru_cache
def report(network: str) -> Report:
  """The count of a network, built from shapes."""
  return _counted(json.dumps(NETWORKS[network]))


@functools.lru_cache
def _counted(config: str) -> Report:
  config = json.loads(config)
  text = config["name"] in ("bert", "decoder")
  if "dtype" in config:
    config["dtype"] = jnp.dtype(config["dtype"])
  fixed = {} if text else {"image_shape": IMAGE, "num_classes": 1000}
  model = nnx.eval_shape(
    lambda: models.build(config, rngs=nnx.Rngs(0), **fixed)
  )
  shape = (1, *(TOKENS if text else IMAGE))
  kind = jnp.int32 if text else jnp.float32
  return count(model, jax.ShapeDtypeStruct(shape, kind))


def bits_per_weight(
  kernels: Sequence[tuple[int, int, Sequence[BitTag] | int | None]],
  vectors: Sequence[int] = (),
  mask: bool = False,
) -> Fraction:
  """Stored bits of a layer or block per weight of its kernels.

  Args:
    kernels: `(inputs, outputs, bits)`; `None` is bfloat16.
    vectors: lengths of bfloat16 vectors that are stored with them.
    mask: count a bit a weight where a kernel has sparse terms.
  """
  half = jnp.bfloat16
  weights = [jax.ShapeDtypeStruct((n, m), half) for n, m, _ in kernels]
  inputs = [jax.ShapeDtypeStruct((1, n), half) for n, _, _ in kernels]
  scales = [jax.ShapeDtypeStruct((n,), half) for n in vectors]

  def products(weights, scales, inputs):
    del scales
    return [
      x @ (w if bits is None else tag(w, bits, role="weight"))
      for x, w, (_, _, bits) in zip(inputs, weights, kernels)
    ]

  found = count(products, weights, scales, inputs, params=(0, 1))
  stored = sum(
    p.size * (p.bits + (mask and p.sparse)) for p in found.parameters
  )
  return Fraction(stored) / found.kernel_count


def llama(features: int, hidden: int) -> dict:
  """FBI-LLM's decoder block: scale and shift for every input of a matrix."""
  shapes = [(features, features)] * 4 + [(features, hidden)] * 2
  shapes.append((hidden, features))
  return {
    "kernels": [(n, m, BitTag(1, (-1, 1))) for n, m in shapes],
    "vectors": [n for n, _ in shapes for _ in range(2)],
  }


def onebit_opt(features: int) -> dict:
  """OneBit's block of OPT: two vectors a matrix, and the biases that OPT has."""
  shapes = [(features, features)] * 4
  shapes += [(features, 4 * features), (4 * features, features)]
  return {
    "kernels": [(n, m, BitTag(1, (-1, 1))) for n, m in shapes],
    "vectors": [size for n, m in shapes for size in (n, m, m)],
  }


SIDE = 4096
TENTH = Fraction(1, 10)
SALIENT = SIDE // 5
# (begin of the model, metric) -> what is counted, in words and as arguments.
LAYERS = {
  ("PB-LLM", "avg weight bits"): (
    "a layer, 10 % of the weights 8 bit",
    {
      "kernels": [
        (SIDE, SIDE, [BitTag(8, density=TENTH), BitTag(1, density=1 - TENTH)])
      ]
    },
  ),
  ("GPTQ", "avg weight bits"): (
    "a layer of 2-bit codes",
    {"kernels": [(SIDE, SIDE, 2)]},
  ),
  ("Full Precision", "avg weight bits"): (
    "a layer in bfloat16",
    {"kernels": [(SIDE, SIDE, None)]},
  ),
  ("PTQ1.61", "avg weight bits"): (
    "a layer, 20 % of the inputs 4 bit; three scales an output, a zero point"
    " each salient input, a bit an input for the mask",
    {
      "kernels": [(SALIENT, SIDE, 4), (SIDE - SALIENT, SIDE, 1)],
      "vectors": [SIDE, SIDE, SIDE, SALIENT, SIDE // 16],
    },
  ),
  ("OneBit-OPT 1.3B", "avg bits"): ("a decoder block", onebit_opt(2048)),
  ("FBI-LLM 130M", "avg bits"): ("a decoder block", llama(768, 2048)),
  ("FBI-LLM 1.3B", "avg bits"): ("a decoder block", llama(2048, 5632)),
  ("FBI-LLM 7B", "avg bits"): ("a decoder block", llama(4096, 11008)),
}
