"""Families of `cost_golden.json`: entry -> report and the fields of "expected".

Every shape and width comes from the entry (its `config`, else its `model` and
`id`), so other entries of the same families need no change here. Fields that
any model has are in `golden_models.common`.
"""

import re

import jax.numpy as jnp

from bnnjax.cost.report import Report
from bnnjax.cost.sizes import fused_batch_norm
from tests.cost.golden_models import (
  counted,
  depth,
  image_model,
  operands,
  wording,
)


def aqt_resnet50(entry):
  config = entry["config"]
  widths = config["w_bits"], config["a_bits"]
  half = config.get("unquantised_means_bits", 16) == 16
  return image_model(
    "resnet",
    config,
    variant=depth(entry, config, "50"),
    dtype=jnp.bfloat16 if half else jnp.float32,
    **operands(*widths),
    **operands(*widths, prefix="edge_"),
  ), {}


def bireal(entry):
  config = entry.get("config", {})
  report = image_model(
    "resnet", config, variant=depth(entry, config), layout="bireal"
  )
  head = sum(r.macs for r in report.rows if r.path == "head")
  return report, {
    "flops_without_dense": report.flops - head,
    "ops_without_dense_x64": report.ops_x64 - 64 * head,
  }


def xnor(entry):
  config = entry.get("config", {})
  return image_model("resnet", config, variant=depth(entry, config)), {}


def resnet(entry):
  """A binary body with a float stem, float shortcuts and a float head."""
  config = entry.get("config", {})
  words = wording(entry)
  return image_model(
    "resnet",
    config,
    variant=depth(entry, config),
    version="v1" if "first 1x1" in words else "v1.5",
    projection="body" if "shortcut convs binary" in words else "float",
  ), {}


def bops_simple(entry):
  """HAWQ: uniform widths, first and last layer perhaps wider; v1 bottlenecks."""
  config, words = entry.get("config", {}), wording(entry)
  found = re.search(r"w(\d+)a(\d+)", words)
  default = tuple(map(int, found.groups())) if found else (32, 32)
  body = config.get("w_bits", default[0]), config.get("a_bits", default[1])
  edge = re.search(r"first-last-(\d+)", words)
  widths = config.get("first_last_bits", edge and int(edge.group(1)))
  ends = (widths, widths) if isinstance(widths, int) else widths or body
  report = image_model(
    "resnet",
    config,
    variant=depth(entry, config),
    version="v1",
    activation="relu",
    **operands(*body),
    **operands(*ends, prefix="edge_"),
  )
  return report, {
    "bops": report.bit_operations,
    "size_bytes": report.weight_bytes("hawq"),
    "size_bits": report.weight_bits("hawq"),
  }


def reactnet(entry):
  variant = re.search(r"(?:^|[-_ ])([ABC])\b", wording(entry)).group(1)
  return image_model("reactnet", entry["config"], variant=variant), {}


LARQ = {
  "QuickNetSmall": {"name": "quicknet", "variant": "small"},
  "QuickNet": {"name": "quicknet", "variant": "medium"},
  "QuickNetLarge": {"name": "quicknet", "variant": "large"},
  "BiRealNet": {"name": "resnet", "layout": "bireal"},
  "BinaryResNetE18": {"name": "resnet", "layout": "resnet_e"},
  "RealToBinaryNet": {"name": "resnet", "layout": "real_to_binary"},
  "BinaryDenseNet28": {"name": "binary_densenet", "variant": "28"},
  "BinaryDenseNet37": {"name": "binary_densenet", "variant": "37"},
  "BinaryDenseNet37Dilated": {
    "name": "binary_densenet",
    "variant": "37_dilated",
  },
  "BinaryDenseNet45": {"name": "binary_densenet", "variant": "45"},
  "MeliusNet22": {"name": "meliusnet", "variant": "22"},
  "BinaryAlexNet": {"name": "binary_alexnet", "variant": "binary"},
  "XNORNet": {"name": "binary_alexnet", "variant": "xnor"},
}


def larq_zoo(entry):
  report = image_model(config=entry["config"], **LARQ[entry["model"]])
  return report, {
    "size_bytes": report.weight_bytes("larq"),
    "size_bytes_8bit_fp_weights": report.weight_bytes("larq_int8"),
    # Statistics included: four numbers a channel of a norm.
    "params_unfused": sum(p.size for p in report.parameters),
  }


def bert(entry):
  config = entry["config"]
  arguments = {
    "name": "bert",
    "inputs": (config["seq_len"],),
    "kind": jnp.int32,
    "features": config["hidden"],
    "hidden": config["ffn"],
    "blocks": config["layers"],
    "vocab": config["vocab"],
    "heads": config.get("heads", 1),
    "types": config.get("types", 2),
    "max_len": config.get("max_len", max(512, config["seq_len"])),
  }
  report = counted(weight=None, act=None, **arguments)
  low = dict.fromkeys(("query", "key", "value", "probs"), "ste")
  binary = counted(
    weight="ste", act="ste", embedding="ste", attention=low, **arguments
  )
  encoder = [r for r in report.rows if r.path != "pooler"]
  products = sum(r.macs for r in encoder if not r.has_weight)
  total = sum(r.macs for r in encoder)
  return report, {
    "linear_macs": total - products,
    "attention_macs": products,
    "pooler_macs": report.total_macs - total,
    "total_macs_encoder": total,
    "flops_2x_macs_encoder": 2 * total,
    "binary_weights_embed_and_encoder": sum(
      p.size for p in binary.parameters if p.bits == 1
    ),
    "full_binary_encoder_ops_x64": 2 * binary.bops,
  }


# PokeBNN's names of element-wise work: our named scope, its operation.
SCALAR_OPERATIONS = {
  "batch_norm_sops": ("batch_norm", "affine"),
  "bprelu_sops": ("dprelu", "select_n"),
  "reshape_add_ch_shrink_sops": ("reshape_add/shrink", "reduce_sum"),
  "reshape_add_ch_shrink_mul_sops": ("reshape_add/shrink", "affine"),
  "reshape_add_avg_pool_sops": ("reshape_add/pool", "reduce_window_sum"),
  "reshape_add_block_residual_sops": ("reshape_add/block", "add"),
  "reshape_add_local_residual_sops": ("reshape_add/local", "add"),
  "se_global_pool_add_sops": ("se/pool", "reduce_sum"),
  "se_global_pool_mul_sops": ("se/pool", "affine"),
  "se_relu_sops": ("se/relu", "max"),
  "se_relu6_sops": ("se/relu6", "max"),
  "se_mul_sops": ("se/scale", "mul"),
  "pokebnn_global_pool_sops": ("global_pool", "reduce_sum"),
}


def scalar_operations(report: Report, scope: str, operation: str) -> int:
  """Operations of one kind in all scopes of that name."""
  return sum(
    table.get(operation, 0)
    for path, table in report.elementwise_by_scope.items()
    if f"/{path}".endswith(f"/{scope}")
  )


def pokebnn(entry):
  config = entry["config"]
  bits = config["bits"]
  body = {}
  if tuple(bits["body"]) != (1, 1):
    body = operands(*bits["body"])
  for kind in ("init", "se", "dense"):
    assert bits[kind][0] == bits[kind][1], "one width for both operands"
  shape = tuple(config["input"])
  report = counted(
    "pokebnn",
    shape,
    image_shape=shape,
    num_classes=config["classes"],
    width=config["filter_multiplier"],
    init_features=config["init_group"],
    init_bits=bits["init"][0],
    se_bits=bits["se"][0],
    head_bits=bits["dense"][0],
    **body,
  )

  def sizes(role, part):
    return sum(
      p.size
      for p in report.parameters
      if p.role == role and part in f".{p.path}"
    )

  dprelu = sizes("other", "dprelu.")
  folded = fused_batch_norm(report.parameters)
  return report, {
    "se_bias_count": sizes("bias", ".se."),
    "dense_bias_count": sizes("bias", ".head."),
    "batch_norm_channels": folded // 2,
    "dprelu_channels": dprelu // 4,
    "dprelu_params": dprelu,
    "bn_params_train": sizes("bn", "") + sizes("bn_stat", ""),
    "bn_params_folded": folded,
    "elementwise_sops": {
      name: scalar_operations(report, *where)
      for name, where in SCALAR_OPERATIONS.items()
    },
  }


MODELS = {
  "aqt-resnet50": aqt_resnet50,
  "bireal": bireal,
  "xnor": xnor,
  "resnet": resnet,
  "bops-simple": bops_simple,
  "reactnet": reactnet,
  "larq-zoo": larq_zoo,
  "bert": bert,
  "pokebnn": pokebnn,
}
