"""How families of checkpoints name and lay out their tensors.

A table a family; `bnnjax.models.pretrained` reads a checkpoint with it.
"""

import dataclasses
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Axes = tuple[int, ...] | None
Shown = tuple[str, int]  # a tensor and an axis of it
Size = Shown | tuple[Callable[..., int], Shown, Shown]


@dataclasses.dataclass(frozen=True)
class Names:
  """A family of checkpoints.

  `{}` in a name stands for a number, the same on both sides of the table; where
  our path has none, the tensors are the layers of one stacked variable.

  Attributes:
    model: name of our model.
    table: name of a tensor -> path of a variable, and the transposition that
      takes the tensor there (`None`: none).
    copies: name of a tensor -> the one that it repeats (tied words).
    spelling: `(regular expression, replacement)` pairs that turn the variants
      of a name into the one of the table.
    ignored: wildcards of tensors that the model has no use for.
    strangers: the same, of the variables that they would go to.
    optional: wildcards of variables that a checkpoint may lack, all of a
      wildcard together; they keep what they have.
    sizes: argument of the model -> tensor and axis that show it; with `{}` in
      its name, the number of such tensors; or a function of two of them, and
      these.
    settings: argument of the model -> key of `config.json`, for what shapes do
      not show.
    demands: key of `config.json` -> the one value that our model implements.
  """

  model: str
  table: Mapping[str, tuple[str, Axes]]
  copies: Mapping[str, str] = dataclasses.field(default_factory=dict)
  spelling: tuple[tuple[str, str], ...] = ()
  ignored: tuple[str, ...] = ()
  strangers: tuple[str, ...] = ()
  optional: tuple[str, ...] = ()
  sizes: Mapping[str, Size] = dataclasses.field(default_factory=dict)
  settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
  demands: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def spell(self, name: str) -> str:
    """The name as the table has it."""
    for pattern, replacement in self.spelling:
      name = re.sub(pattern, replacement, name)
    return name

  def target(self, name: str) -> tuple[str, int | None, Axes]:
    """Variable of a tensor, its layer there, its transposition.

    `("", None, None)` for a stranger, layer `None` where nothing is stacked.
    """
    if name in self.table:
      path, axes = self.table[name]
      return path, None, axes
    for template, (path, axes) in self.table.items():
      if (found := numbers(template, name)) is not None:
        layer = int(found[-1]) if path.count("{}") < len(found) else None
        return path.format(*found), layer, axes
    return "", None, None

  def source(self, path: str, layer: int | None = None) -> str:
    """Name of the tensor for a variable, or for a layer of one."""
    for template, (target, _) in self.table.items():
      if (found := numbers(target, path)) is not None:
        return template.format(*found, layer)
    return "(not in the table)"

  def stacks(self, path: str) -> bool:
    """Whether a variable is made of a tensor for each layer."""
    return any(
      template.count("{}") > target.count("{}")
      and numbers(target, path) is not None
      for template, (target, _) in self.table.items()
    )


def numbers(template: str, text: str) -> tuple[str, ...] | None:
  """What stands for `{}`, or `None` if the text is another."""
  pattern = re.escape(template).replace(r"\{\}", r"(\d+)")
  found = re.fullmatch(pattern, text)
  return found and found.groups()


def _pair(weight: str, axes=None):
  """Entries of a layer's weight, called otherwise here, and bias."""
  return lambda theirs, ours: {
    f"{theirs}.weight": (f"{ours}.{weight}", axes),
    f"{theirs}.bias": (f"{ours}.bias", None),
  }


linear, norm = _pair("kernel", (1, 0)), _pair("scale")

RESIDUAL = "blocks.*.attention.residual.*"
# Hugging Face's `BertModel`, alone or inside `BertFor...`. Checkpoints
# converted from TensorFlow call a norm's scale and shift gamma and beta.
_LAYER, _BLOCK = "encoder.layer.{}", "blocks.{}"
BERT = Names(
  model="bert",
  table={
    "embeddings.word_embeddings.weight": ("word.table", None),
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
  },
  spelling=(
    (r"^bert\.", ""),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
  ),
  # The numbers 0, 1, 2, ...; the heads of pre-training.
  ignored=("embeddings.position_ids", "cls.*"),
  # BiPFT's estimators are a student's own.
  optional=("pooler.*", "head.*", RESIDUAL),
  sizes={
    "vocab": ("embeddings.word_embeddings.weight", 0),
    "features": ("embeddings.word_embeddings.weight", 1),
    "max_len": ("embeddings.position_embeddings.weight", 0),
    "types": ("embeddings.token_type_embeddings.weight", 0),
    "hidden": ("encoder.layer.0.intermediate.dense.weight", 0),
    "blocks": (f"{_LAYER}.intermediate.dense.weight", 0),
  },
  settings={"heads": "num_attention_heads"},
  demands={
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
  },
)

# Hugging Face's `Mamba2ForCausalLM`; the originals of state-spaces say
# `embedding`. More than one group of heads is not told from larger states.
_WORDS, _LAYERS = "backbone.embeddings.weight", "backbone.layers.{}"
_MIXER, _OURS = f"{_LAYERS}.mixer", "blocks.layer"
_INSIDE = (f"{_MIXER}.norm.weight".format(0), 0)
MAMBA2 = Names(
  model="mamba",
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
  spelling=((r"^backbone\.embedding\.", "backbone.embeddings."),),
  sizes={
    "vocab": (_WORDS, 0),
    "features": (_WORDS, 1),
    "blocks": (f"{_LAYERS}.norm.weight", 0),
    "expand": (operator.floordiv, _INSIDE, (_WORDS, 1)),
    "head_size": (operator.floordiv, _INSIDE, (f"{_MIXER}.A_log".format(0), 0)),
    "conv": (f"{_MIXER}.conv1d.weight".format(0), 2),
    "state": (
      lambda mixed, inside: (mixed - inside) // 2,
      (f"{_MIXER}.conv1d.weight".format(0), 0),
      _INSIDE,
    ),
  },
  demands={
    "hidden_act": "silu",
    "layer_norm_epsilon": 1e-5,
    "n_groups": 1,
    "tie_embeddings": True,
    "tie_word_embeddings": True,
    "time_step_limit": [0.0, float("inf")],
    "use_bias": False,
    "use_conv_bias": True,
  },
)

FAMILIES = {"bert": BERT, "mamba": MAMBA2}
