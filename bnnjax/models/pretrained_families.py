"""Families of checkpoints: one table each of tensor names, layouts and sizes.

`bnnjax.models.pretrained` reads checkpoints with them. To support another
family, add a `Names` to `FAMILIES`.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from bnnjax.layers.checks import exact

Axes = tuple[int, ...] | None
# A tensor and one of its axes, or an argument that is known already.
Shown = tuple[str, int] | str
Size = tuple[str, int] | tuple[Callable[..., int], *tuple[Shown, ...]]


@dataclasses.dataclass(frozen=True)
class Names:
  """A family of checkpoints.

  `{}` in a name stands for a number, the same on both sides of the table. If
  the path of our variable has none, the tensors are the layers of a stacked
  variable.

  Attributes:
    model: name of our model.
    table: name of a tensor -> path of a variable, and the transposition from
      the tensor to the variable, or `None`.
    copies: name of a tensor -> name of the tensor that it must equal (tied
      words).
    spelling: `(regular expression, replacement)` pairs that turn variants of a
      name into the name in the table.
    ignored: wildcards of tensors that are not parameters.
    spare: wildcards of tensors to skip, with a warning, if the model has no
      place for them.
    strangers: wildcards of variables that our model never has; their tensors
      are skipped.
    optional: wildcards of variables that a checkpoint may lack, each wildcard
      as a whole; they keep their values.
    together: wildcard of variables -> variable that must be there too.
    sizes: argument of the model -> tensor and axis that show it (with `{}`, the
      number of such tensors), or a function of several of them.
    parts: argument of the model -> tensor whose presence makes it true.
    settings: argument of the model -> key of `config.json`, for arguments that
      shapes do not show.
    built: the same arguments -> function that reads them off a built model.
    claims: key of `config.json` -> argument or axis that it must agree with.
    demands: key of `config.json` -> values that our model implements.
    types: value of `model_type` -> prefix of the names in `architectures`.
    rivals: `(wildcard of a tensor, network that has it)`, for networks with
      nearly the same names.
    reads: description of the family, for messages.
  """

  model: str
  table: Mapping[str, tuple[str, Axes]]
  copies: Mapping[str, str] = dataclasses.field(default_factory=dict)
  spelling: tuple[tuple[str, str], ...] = ()
  ignored: tuple[str, ...] = ()
  spare: tuple[str, ...] = ()
  strangers: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  together: Mapping[str, str] = dataclasses.field(default_factory=dict)
  sizes: Mapping[str, Size] = dataclasses.field(default_factory=dict)
  parts: Mapping[str, str] = dataclasses.field(default_factory=dict)
  settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
  built: Mapping[str, Callable[[Any], Any]] = dataclasses.field(
    default_factory=dict
  )
  claims: Mapping[str, Shown] = dataclasses.field(default_factory=dict)
  demands: Mapping[str, tuple[Any, ...]] = dataclasses.field(
    default_factory=dict
  )
  types: Mapping[str, str] = dataclasses.field(default_factory=dict)
  rivals: tuple[tuple[str, str], ...] = ()
  reads: str = ""

  def spell(self, name: str) -> str:
    """The name as the table has it."""
    for pattern, replacement in self.spelling:
      name = re.sub(pattern, replacement, name)
    return name

  def target(self, name: str) -> tuple[str, int | None, Axes]:
    """Path of the variable (or ""), layer if it is stacked, transposition."""
    if name in self.table:
      path, axes = self.table[name]
      return path, None, axes
    for template, (path, axes) in self.table.items():
      if (found := numbers(template, name)) is not None:
        layer = int(found[-1]) if path.count("{}") < len(found) else None
        return path.format(*found), layer, axes
    return "", None, None

  def source(self, path: str, layer: int | None = None) -> str:
    """Name of the tensor of a variable, or of a layer of a stacked one."""
    for template, (target, _) in self.table.items():
      if (found := numbers(target, path)) is not None:
        return template.format(*found, layer)
    return "(not in the table)"

  def stacks(self, path: str) -> bool:
    """Whether a variable stacks one tensor per layer."""
    return any(
      template.count("{}") > target.count("{}")
      and numbers(target, path) is not None
      for template, (target, _) in self.table.items()
    )


def numbers(template: str, text: str) -> tuple[str, ...] | None:
  """The numbers that `{}` stands for in a text, `None` without a match."""
  pattern = re.escape(template).replace(r"\{\}", r"(\d+)")
  found = re.fullmatch(pattern, text)
  return found and found.groups()


def _pair(weight: str, axes=None):
  """A function that makes the entries of a layer's weight and bias."""
  return lambda theirs, ours: {
    f"{theirs}.weight": (f"{ours}.{weight}", axes),
    f"{theirs}.bias": (f"{ours}.bias", None),
  }


linear, norm = _pair("kernel", (1, 0)), _pair("scale")


# Prefixes that trainers and compilers put before names.
_WRAPPERS = (r"^(?:(?:module|_orig_mod|model|auto_model)\.)+", "")
RESIDUAL = "blocks.*.attention.residual.*"
# Hugging Face's `BertModel`, alone or inside `BertFor...`. Checkpoints
# converted from TensorFlow call a norm's scale and shift gamma and beta.
_LAYER, _BLOCK = "encoder.layer.{}", "blocks.{}"
_TABLE, _HEAD = "embeddings.word_embeddings.weight", "cls.predictions"
BERT = Names(
  model="bert",
  reads="BERT of Hugging Face (`BertModel`, `BertFor...`)",
  types={"bert": "Bert"},
  table={
    _TABLE: ("word.table", None),
    "embeddings.position_embeddings.weight": ("position.table", None),
    "embeddings.token_type_embeddings.weight": ("type.table", None),
    **norm("embeddings.LayerNorm", "norm"),
    **linear(f"{_LAYER}.attention.self.query", f"{_BLOCK}.attention.query"),
    **linear(f"{_LAYER}.attention.self.key", f"{_BLOCK}.attention.key"),
    **linear(f"{_LAYER}.attention.self.value", f"{_BLOCK}.attention.value"),
    **linear(f"{_LAYER}.attention.output.dense", f"{_BLOCK}.attention.out"),
    **norm(f"{_LAYER}.attention.output.LayerNorm", f"{_BLOCK}.attention_norm"),
    **linear(f"{_LAYER}.intermediate.dense", f"{_BLOCK}.expand"),
    **linear(f"{_LAYER}.output.dense", f"{_BLOCK}.reduce"),
    **norm(f"{_LAYER}.output.LayerNorm", f"{_BLOCK}.mlp_norm"),
    **linear("pooler.dense", "pooler"),
    **linear("classifier", "head"),
    **linear(f"{_HEAD}.transform.dense", "transform.dense"),
    **norm(f"{_HEAD}.transform.LayerNorm", "transform.norm"),
    f"{_HEAD}.bias": ("transform.bias", None),
    f"{_HEAD}.decoder.bias": ("transform.bias", None),
  },
  copies={
    f"{_HEAD}.decoder.weight": _TABLE,
    f"{_HEAD}.decoder.bias": f"{_HEAD}.bias",
  },
  spelling=(
    _WRAPPERS,
    (r"^(?:.*\.)?bert\.", ""),
    (r"^(?:.*\.)?(cls\.(?:predictions|seq_relationship)\.)", r"\1"),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
  ),
  ignored=("embeddings.position_ids",),  # the numbers 0, 1, 2, ...
  spare=("cls.*",),  # the heads of pre-training
  # The residual estimators of BiPFT belong to students.
  optional=("pooler.*", "head.*", "transform.*", RESIDUAL),
  together={"head.*": "pooler.kernel"},  # without it, it classifies tokens
  sizes={
    "vocab": (_TABLE, 0),
    "features": (_TABLE, 1),
    "max_len": ("embeddings.position_embeddings.weight", 0),
    "types": ("embeddings.token_type_embeddings.weight", 0),
    "hidden": ("encoder.layer.0.intermediate.dense.weight", 0),
    "blocks": (f"{_LAYER}.intermediate.dense.weight", 0),
  },
  parts={"transform": f"{_HEAD}.transform.dense.weight"},
  settings={"heads": "num_attention_heads"},
  built={"heads": lambda model: model.blocks[0].attention.heads},
  claims={
    "vocab_size": "vocab",
    "hidden_size": "features",
    "max_position_embeddings": "max_len",
    "type_vocab_size": "types",
    "intermediate_size": "hidden",
    "num_hidden_layers": "blocks",
  },
  demands={
    "hidden_act": ("gelu", "gelu_python"),
    "layer_norm_eps": (1e-12,),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "pruned_heads": ({},),
    "tie_word_embeddings": (True,),
  },
  rivals=(
    ("*roberta.*", "RoBERTa"),
    ("*.q_lin.weight", "DistilBERT"),
    ("*albert_layer*", "ALBERT"),
    ("*crossattention*", "a BERT that decodes, with cross-attention"),
  ),
)

# Hugging Face's `Mamba2ForCausalLM`; the originals of state-spaces say
# `embedding`. Both normalize each group of a block's output (transformers
# before 5.24, by mistake, all groups together).
_WORDS, _LAYERS = "backbone.embeddings.weight", "backbone.layers.{}"
_MIXER, _OURS = f"{_LAYERS}.mixer", "blocks.layer"
_INSIDE = (f"{_MIXER}.norm.weight".format(0), 0)
_HEADS = (f"{_MIXER}.A_log".format(0), 0)
MAMBA2 = Names(
  model="mamba",
  reads=(
    "Mamba-2 of Hugging Face (`model_type` 'mamba2') or of state-spaces"
    " (`ssm_cfg` with `layer` 'Mamba2')"
  ),
  types={"mamba2": "Mamba2"},
  table={
    _WORDS: ("embedding", None),
    f"{_LAYERS}.norm.weight": (f"{_OURS}.norm.scale", None),
    **{
      f"{_MIXER}.{name}": (f"{_OURS}.mixer.{name}", None)
      for name in ("A_log", "D", "dt_bias")
    },
    f"{_MIXER}.conv1d.weight": (f"{_OURS}.mixer.conv.kernel", (2, 1, 0)),
    f"{_MIXER}.conv1d.bias": (f"{_OURS}.mixer.conv.bias", None),
    f"{_MIXER}.in_proj.weight": (f"{_OURS}.mixer.in_proj.kernel", (1, 0)),
    f"{_MIXER}.norm.weight": (f"{_OURS}.mixer.norm.scale", None),
    f"{_MIXER}.out_proj.weight": (f"{_OURS}.mixer.out_proj.kernel", (1, 0)),
    "backbone.norm_f.weight": ("norm.scale", None),
  },
  copies={"lm_head.weight": _WORDS},
  spelling=(
    _WRAPPERS,
    (r"^(?:.*\.)?(backbone|lm_head)\.", r"\1."),
    # `Mamba2Model`, without the head.
    (r"^(embeddings?|layers|norm_f)\.", r"backbone.\1."),
    (r"^backbone\.embedding\.", "backbone.embeddings."),
  ),
  sizes={
    "vocab": (_WORDS, 0),
    "features": (_WORDS, 1),
    "blocks": (f"{_LAYERS}.norm.weight", 0),
    "expand": (exact, _INSIDE, "features"),
    "head_size": (exact, _INSIDE, _HEADS),
    "conv": (f"{_MIXER}.conv1d.weight".format(0), 2),
    "state": (
      lambda mixed, inside, groups: exact(mixed - inside, 2, groups),
      (f"{_MIXER}.conv1d.weight".format(0), 0),
      _INSIDE,
      "groups",
    ),
  },
  settings={"groups": "n_groups"},
  built={"groups": lambda model: model.blocks.layer.mixer.groups},
  claims={
    "vocab_size": "vocab",
    "hidden_size": "features",
    "num_hidden_layers": "blocks",
    "expand": "expand",
    "head_dim": "head_size",
    "num_heads": _HEADS,
    "d_ssm": _INSIDE,
    "conv_kernel": "conv",
    "state_size": "state",
  },
  demands={
    "hidden_act": ("silu", "swish"),
    "layer_norm_epsilon": (1e-5,),
    "norm_before_gate": (False,),
    "rms_norm": (True,),
    "gated_norm": (True,),
    "layer": ("Mamba2",),
    "d_intermediate": (0, None),
    "attn_layer_idx": ([], None),
    "D_has_hdim": (False,),
    "process_group": (None,),
    "tie_word_embeddings": (True,),
    "time_step_limit": ([0.0, float("inf")],),
    "use_bias": (False,),
    "use_conv_bias": (True,),
  },
  rivals=(
    ("*.mixer.x_proj.weight", "Mamba-1"),
    ("*.mixer.B_bias", "Mamba-3"),
  ),
)

FAMILIES = {"bert": BERT, "mamba": MAMBA2}
