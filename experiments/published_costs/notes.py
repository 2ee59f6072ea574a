"""What is known in words about published costs, keyed by columns of the csv.

A key matches a row when every column begins with the given text. Numbers are
computed elsewhere: see the `others` of a `Count`.
"""

from collections.abc import Iterator, Mapping

Key = dict[str, str]

# Why a row has no count of ours. First match.
MISSING: tuple[tuple[Key, str], ...] = (
  (
    {"cost_metric": "latency"},
    "a latency measured on a phone, which no count of operations predicts",
  ),
  (
    {"model": "PokeBNN-1.4x"},
    "neither the public code nor our model can tile the long shortcut at this"
    " width; the nearest legal widths",
  ),
  ({"model": "CI-BCNN"}, "its channel interactions are not in the library"),
  ({"model": "Binary MobileNet"}, "this network is not in the library"),
  ({"model": "PCNN"}, "its projection convolutions are not in the library"),
  (
    {"model": "Bi-RealNet-152"},
    "`resnet` has no variant 152, and no shortcut around every convolution of a"
    " bottleneck",
  ),
  ({"family": "bnext"}, "BNext is not in the library"),
  (
    {"model": "DoReFaNet"},
    "`binary_alexnet` has no DoReFa variant (other channels, 2-bit inputs)",
  ),
  (
    {"family": "hawq-v3", "variant": "mixed"},
    "it has a bit-width for each layer, and `resnet` takes one for the body",
  ),
  (
    {"family": "binarydm", "cost_metric": "model size saving"},
    "the U-Net of LDM-4 is not in the library; the abstracts of three versions"
    " give three factors for changing settings",
  ),
  ({"family": "binarydm"}, "the U-Net of LDM-4 is not in the library"),
  ({"family": "bidm"}, "the U-Net of LDM-4 is not in the library"),
  (
    {"family": "ecoformer", "cost_metric": "energy saving"},
    "PVTv2 with its usual attention, the denominator, is neither in the library"
    " nor printed here",
  ),
  ({"family": "ecoformer"}, "PVTv2 and Twins are not in the library"),
  (
    {"model": "BiLLM"},
    "the part above 1 bit is the share of salient columns, which a search finds"
    " in the trained weights and shapes do not give",
  ),
  (
    {"family": "db-llm"},
    "the cell holds two figures, without model or setting",
  ),
  ({"family": "bebr"}, "the figure is a range, for a private index"),
)

_SCALES = (
  "the scale computation, XNOR-Net's additional float work, is not in the"
  " network that was counted"
)
_BERT_FLOAT = (
  "the remaining float work (layer norm, GELU, softmax, scales) is not in a"
  " count of matrix products"
)
# Why ours differs. All matches.
REASONS: tuple[tuple[Key, str], ...] = (
  ({"model": "XNOR-Net", "cost_metric": "FLOPs"}, _SCALES),
  ({"model": "XNOR-Net", "cost_metric": "OPs"}, _SCALES),
  ({"family": "bert-glue", "cost_metric": "FLOPs", "model": "Bi"}, _BERT_FLOAT),
  ({"family": "bipft", "cost_metric": "operations"}, _BERT_FLOAT),
  (
    {"family": "bitnet", "cost_metric": "memory"},
    "the printed figure is the memory of a running program, ours is that of the"
    " weights alone",
  ),
)

# Said whatever the verdict. All matches.
NOTES: tuple[tuple[Key, str], ...] = (
  (
    {"model": "GPTQ"},
    "the setting itself: the width of the codes, without scales and zero points"
    " of the groups of 128",
  ),
  ({"model": "Full Precision"}, "the setting itself"),
  (
    {"model": "BitNet b1.58", "cost_metric": "avg bits"},
    "the entropy of ternary values that are equally likely; they take 2 bits"
    " when stored",
  ),
  (
    {"model": "FBI-LLM"},
    "a scale and a shift of 16 bits for every input; one figure is printed for"
    " three sizes",
  ),
  (
    {"model": "PB-LLM", "cost_metric": "avg weight bits", "family": "llm-ptq"},
    "without the bitmap of the salient weights, which is one more bit",
  ),
  (
    {"model": "BinaryDM", "table": "v1 abstract", "cost_metric": "OPs saving"},
    "the saving of a layer of any shape, without float work",
  ),
  (
    {"model": "ReActNet-B"},
    "four groups in the widening convolutions, chosen to fit the printed FLOPs",
  ),
)


def missing(row: Mapping[str, str]) -> str:
  """Why the row is not counted; empty when nothing is known to be missing."""
  return next(_matches(MISSING, row), "")


def reasons(row: Mapping[str, str]) -> list[str]:
  """Why ours may differ."""
  return list(_matches(REASONS, row))


def notes(row: Mapping[str, str]) -> list[str]:
  """What to say of the row in any case."""
  return list(_matches(NOTES, row))


def _matches(table, row: Mapping[str, str]) -> Iterator[str]:
  for key, text in table:
    if all(row[column].startswith(begin) for column, begin in key.items()):
      yield text
