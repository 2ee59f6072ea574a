"""What the families of `golden_families` share: models from entries, fields."""

import re

import jax
import jax.numpy as jnp

from bnnjax import models
from bnnjax.cost import count
from bnnjax.cost.report import Report

FLOAT_BITS = 16  # from here on an operand is not quantized
IMAGE, CLASSES = (224, 224, 3), 1000


def counted(name: str, inputs: tuple[int, ...], kind=jnp.float32, **arguments):
  """Report of a model, built from shapes alone; `kind` is the input's dtype."""
  model = models.abstract(
    lambda rngs: models.build({"name": name, **arguments}, rngs=rngs)
  )
  return count(model, jax.ShapeDtypeStruct((1, *inputs), kind))


def spec(bits: int, role: str) -> str | None:
  """A binarizer with operands of `bits` bits."""
  if bits >= FLOAT_BITS:
    return None
  if bits == 1:
    return "ste"
  scale = "channel_max" if role == "weight" else "ema_bound"
  return f"symmetric(bits={bits})|{scale}"


def operands(w_bits: int, a_bits: int, prefix: str = "") -> dict:
  """`weight=` and `act=` (or `edge_weight=` ...) for two widths."""
  return {
    f"{prefix}weight": spec(w_bits, "weight"),
    f"{prefix}act": spec(a_bits, "act"),
  }


def image_model(name: str, config: dict, **arguments) -> Report:
  """Report of an image classifier whose config may set sizes and widths."""
  for key in ("width", "filter_multiplier"):
    if key in config:
      arguments["width"] = config[key]
  if "w_bits" in config and "weight" not in arguments:
    arguments |= operands(config["w_bits"], config["a_bits"])
  shape = tuple(config.get("input", IMAGE))
  if name != "binary_alexnet":
    arguments.setdefault("stem", config.get("stem", "imagenet"))
  return counted(
    name,
    shape,
    image_shape=shape,
    num_classes=config.get("classes", CLASSES),
    **arguments,
  )


def wording(entry: dict) -> str:
  """All that an entry says in words about its architecture."""
  config = entry.get("config", {})
  return " ".join(
    str(x)
    for x in (entry.get("model", ""), entry["id"], config.get("note", ""))
  )


def depth(entry: dict, config: dict, default: str = "18") -> str:
  """Layers of a ResNet."""
  found = re.search(r"(?:resnet|bireal)\D{0,5}?(\d+)", wording(entry), re.I)
  return str(config.get("depth") or (found and found.group(1)) or default)


def common(report: Report) -> dict:
  """Fields that any model has."""
  biases = sum(p.size for p in report.parameters if p.role == "bias")
  binary = report.weights_by_bits.get(1, 0)
  return {
    "macs": report.total_macs,
    "total_macs": report.total_macs,
    "macs_by_bits": report.macs_by_name,
    "macs_1bit": macs_of_precision(report, 1),
    "macs_32bit": macs_of_precision(report, 32),
    "bops": report.bops,
    "flops": report.flops,
    "ops_x64": report.ops_x64,
    "ops": report.ops,
    "bin_ops_2x": 2 * report.bops,
    "fp_ops_2x": 2 * report.flops,
    "ace": report.ace,
    "total_ace": report.ace,
    "ace_fp_as_bf16": report.ace,
    "conv_ace": report.conv_ace,
    "dense_ace": report.dense_ace,
    "compute_cost": report.ace,
    "compute_cost_ratio_to_bf16": report.ace / (256 * report.total_macs),
    "compute_cost_linear": report.compute_cost_linear,
    "cpu64_max_rule_x64": report.cpu64_x64("max"),
    "weights": report.kernel_count,
    "weights_by_bits": {str(b): n for b, n in report.weights_by_bits.items()},
    "binary_weights": binary,
    "fp_weights_and_bias": report.kernel_count - binary + biases,
    "weight_bits": report.weight_bits(),
    "weight_bytes_packed": report.weight_bytes(),
    "memory_cost_bits": report.weight_bits("aqt"),
    "memory_ratio_to_bf16": report.weight_bits("aqt")
    / (16 * report.kernel_count),
    "params_with_bn_and_bias": report.parameter_count,
    "params": report.parameter_count,
    "fp32_bytes": report.weight_bytes("float32"),
    "size_bytes_fp32_rest_no_bn": report.weight_bytes("fracbnn_float32"),
    "size_bytes_int8_rest_no_bn": report.weight_bytes("fracbnn"),
  }


def macs_of_precision(report: Report, bits: int) -> int:
  """MACs at Larq's precision: the wider operand's."""
  return sum(r.macs for r in report.rows if max(r.w_bits, r.a_bits) == bits)
