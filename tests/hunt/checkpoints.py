"""Folders of foreign checkpoints: written at random, damaged, read."""

import functools
import json
import pathlib
from typing import Any

import ml_dtypes
import numpy as np
import safetensors.numpy

from bnnjax import models
from bnnjax.models import pretrained
from tests.filled_models import filled
from tests.hunt import damage
from tests.hunt.readers import Reader, same

CONFIGS = {
  "bert": {
    "name": "bert", "vocab": 11, "max_len": 8, "types": 2, "features": 16,
    "hidden": 24, "blocks": 2, "heads": 2, "weight": None, "act": None,
  },
  "mlm": {
    "name": "bert", "vocab": 11, "max_len": 8, "types": 2, "features": 16,
    "hidden": 24, "blocks": 1, "heads": 4, "transform": True, "weight": None,
    "act": None,
  },
  "mamba": {
    "name": "mamba", "vocab": 16, "features": 16, "blocks": 2, "state": 3,
    "head_size": 8, "expand": 2, "conv": 4, "groups": 2, "weight": None,
  },
}  # fmt: skip
BERT = {
  "model_type": "bert", "architectures": ["BertForMaskedLM"],
  "hidden_act": "gelu", "hidden_size": 16, "intermediate_size": 24,
  "layer_norm_eps": 1e-12, "max_position_embeddings": 8,
  "num_attention_heads": 2, "num_hidden_layers": 2, "pad_token_id": 0,
  "position_embedding_type": "absolute", "type_vocab_size": 2,
  "use_cache": True, "vocab_size": 11, "hidden_dropout_prob": 0.1,
}  # fmt: skip
MAMBA = {
  "architectures": ["Mamba2ForCausalLM"], "conv_kernel": 4, "expand": 2,
  "head_dim": 8, "hidden_act": "silu", "hidden_size": 16,
  "layer_norm_epsilon": 1e-5, "model_type": "mamba2", "n_groups": 2,
  "num_heads": 4, "num_hidden_layers": 2, "rms_norm": True, "state_size": 3,
  "tie_word_embeddings": True, "use_bias": False, "use_conv_bias": True,
  "time_step_limit": [0.0, {"__float__": "Infinity"}], "vocab_size": 16,
  "chunk_size": 256, "residual_in_fp32": True,
}  # fmt: skip
STATE_SPACES = {
  "d_model": 16, "d_intermediate": 0, "n_layer": 2, "vocab_size": 15,
  "attn_layer_idx": [], "attn_cfg": {}, "rms_norm": True,
  "residual_in_fp32": True, "fused_add_norm": True,
  "pad_vocab_size_multiple": 16, "tie_embeddings": True,
  "ssm_cfg": {"layer": "Mamba2", "ngroups": 2, "headdim": 8, "d_state": 3},
}  # fmt: skip
SETTINGS = {
  "bert": BERT,
  "mlm": {**BERT, "num_hidden_layers": 1, "num_attention_heads": 4},
  "mamba": MAMBA,
  "state-spaces": STATE_SPACES,
}
# Of one network as of another: what is not in the shapes.
UNSHOWN = ("heads", "groups", "state")


@functools.cache
def model(kind: str) -> Any:
  config = CONFIGS["mamba" if kind == "state-spaces" else kind]
  return filled(lambda rngs: models.build(config, rngs=rngs))


def names(kind: str) -> pretrained.Names:
  return pretrained.BERT if kind in ("bert", "mlm") else pretrained.MAMBA2


def tensors(rng, kind: str, dtype) -> tuple[dict, dict]:
  """A checkpoint, and the parameters that it gives the model."""
  table, theirs, ours = names(kind), {}, {}
  for path, variable in pretrained.weights(model(kind)).items():
    if path.startswith("head."):
      continue
    value = rng.normal(size=variable.shape).astype(dtype)
    ours[path] = value.astype(np.float32)
    for i in range(len(value)) if table.stacks(path) else [None]:
      one = value if i is None else value[i]
      name = table.source(path, i)
      axes = table.target(name)[2]
      if axes is not None:
        one = one.transpose(np.argsort(axes))
      theirs[name] = np.ascontiguousarray(one)
  if kind == "state-spaces":
    old, new = "backbone.embeddings.", "backbone.embedding."
    theirs = {k.replace(old, new): v for k, v in theirs.items()}
  return theirs, ours


def write(rng, folder: pathlib.Path):
  """A folder `<kind>`, of one file or of two with their index."""
  kind = str(rng.choice(list(SETTINGS)))
  dtype = (np.float32, np.float16, ml_dtypes.bfloat16)[int(rng.integers(3))]
  theirs, ours = tensors(rng, kind, dtype)
  before = str(rng.choice(["", "", "model.", "module."]))
  theirs = {before + k: v for k, v in theirs.items()}
  if kind == "mlm":
    words = f"{before}embeddings.word_embeddings.weight"
    theirs[f"{before}cls.predictions.decoder.weight"] = theirs[words]
  elif rng.random() < 0.3 and kind != "bert":
    theirs["lm_head.weight"] = next(
      v for k, v in theirs.items() if "embedding" in k
    )
  at = folder / kind
  at.mkdir()
  settings = list(SETTINGS[kind].items())
  rng.shuffle(settings)
  (at / "config.json").write_text(json.dumps({k: v for k, v in settings}))
  path = at / "model.safetensors"
  if rng.random() < 0.7:
    safetensors.numpy.save_file(theirs, path)
    return path, ours
  parts = [{}, {}]
  for i, name in enumerate(theirs):
    parts[i % 2][name] = theirs[name]
  weight_map = {}
  for i, part in enumerate(parts):
    file = f"model-{i}.safetensors"
    weight_map |= dict.fromkeys(part, file)
    safetensors.numpy.save_file(part, at / file)
  path = at / "model.safetensors.index.json"
  path.write_text(json.dumps({"weight_map": weight_map}))
  return path, ours


def _change(rng, path):
  at = path.parent
  files = sorted(at.glob("*.safetensors"))
  file = files[int(rng.integers(len(files)))]
  found = safetensors.numpy.load_file(file)
  name = str(rng.choice(list(found)))
  kinds = (
    "config", "config", "no config", "gone", "renamed", "more", "int", "shape",
    "nan", "twice", "untied", "bin", "two", "Mamba-1", "other config",
  )  # fmt: skip
  kind = str(rng.choice(kinds))
  if kind == "config":
    settings = json.loads((at / "config.json").read_text())
    what, data = damage.json_text(rng, settings)
    (at / "config.json").write_bytes(data)
    return f"config {what}", False
  if kind == "no config":
    (at / "config.json").unlink()
    return kind, False
  if kind == "other config":
    other = {"model_type": "gpt2", "n_head": 2}
    (at / "config.json").write_text(json.dumps(other))
    return kind, False
  if kind == "bin":
    file.rename(at / "pytorch_model.bin")
    path.unlink(missing_ok=True)
    return kind, False
  if kind == "two":
    safetensors.numpy.save_file(found, at / "other.safetensors")
    return kind, False
  tensor = found.pop(name)
  added = {
    "gone": {},
    "renamed": {f"{name}s": tensor},
    "more": {name: tensor, "adapter.weight": tensor},
    "int": {name: tensor.astype(np.int8)},
    "shape": {name: tensor[..., None]},
    "nan": {name: np.where(np.arange(tensor.size).reshape(tensor.shape) == 1,
                           np.float32("nan"), tensor)},
    "twice": {name: tensor, f"_orig_mod.{name}": tensor},
    "untied": {name: tensor, "lm_head.weight": tensor + 1,
               "cls.predictions.decoder.weight": tensor + 1},
    "Mamba-1": {name: tensor, "backbone.layers.0.mixer.x_proj.weight": tensor,
                "roberta.x": tensor},
  }  # fmt: skip
  safetensors.numpy.save_file(found | added[kind], file)
  return f"{kind} {name}", False


def read(path):
  """Fills the model of the folder; what its parameters then are."""
  kind = path.parent.name
  network, table = model(kind), names(kind)
  told = path.parent / "config.json"
  if told.exists():
    pretrained.config_of(path.parent, table)
  pretrained.load(network, path.parent, table)
  return {
    k: np.asarray(v[...])
    for k, v in pretrained.weights(network).items()
    if not k.startswith("head.")
  }


def _write_config(rng, folder):
  path, _ = write(rng, folder)
  kind = path.parent.name
  found = {
    k: v
    for k, v in CONFIGS["mamba" if kind == "state-spaces" else kind].items()
    if k not in ("weight", "act")
  }
  return path.with_name("config.json"), found


def _read_config(path):
  return pretrained.config_of(path.parent, names(path.parent.name))


def _change_config(rng, path):
  what, data = damage.json_text(rng, json.loads(path.read_text()))
  path.write_bytes(data)
  return what, False


def _shown(got, want, path):
  """Another number of heads is another network of the same shapes."""
  del path
  return same(*({k: v for k, v in c.items() if k not in UNSHOWN}
                for c in (got, want)))  # fmt: skip


READERS = {
  "config.json": Reader(
    _write_config, _read_config, (), _change_config, _shown
  ),
  "pretrained": Reader(write, read, damage.INSIDE, _change),
}
