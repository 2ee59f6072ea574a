"""ResNets, float or low-bit, with the layouts of papers on binary networks.

Deep Residual Learning for Image Recognition, He et al., CVPR 2016,
arXiv:1512.03385. For the changes of later papers see `LAYOUTS`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from flax import nnx

from bnnjax.core import registry
from bnnjax.layers.activations import ACTIVATIONS, activation
from bnnjax.layers.blocks import LayerDefaults, Unit
from bnnjax.layers.linear import Spec
from bnnjax.layers.shortcut import Residual, shortcut
from bnnjax.models import checks
from bnnjax.models.classifier import ImageClassifier, is_small, scaled


class Plan(NamedTuple):
  """Depth and width of a ResNet: `blocks` and `features` of each stage."""

  blocks: tuple[int, ...]
  features: tuple[int, ...]
  bottleneck: bool = False

  @property
  def expansion(self) -> int:
    """Channels after a block, as a multiple of its features."""
    return 4 if self.bottleneck else 1


_WIDE = (64, 128, 256, 512)
VARIANTS = {
  "18": Plan((2, 2, 2, 2), _WIDE),
  "34": Plan((3, 4, 6, 3), _WIDE),
  "50": Plan((3, 4, 6, 3), _WIDE, bottleneck=True),
  "101": Plan((3, 4, 23, 3), _WIDE, bottleneck=True),
  "20": Plan((3, 3, 3), (16, 32, 64)),
  "8": Plan((1, 1, 1), (16, 32, 64)),
}


@dataclasses.dataclass(frozen=True)
class Layout:
  """Where a paper puts shortcuts, norms and activations.

  Attributes:
    unit: order of the steps around a convolution of the body, see `Unit`.
    per_conv: whether every convolution has a shortcut, instead of every block.
    shortcut: kind of shortcut if the shape changes, see
      `bnnjax.layers.shortcut`.
    projection: whether the 1x1 convolution of a shortcut is `"float"`, or has
      the binarizers of the `"body"` or of the `"edge"` (stem and head).
    activation: after every sum, and between the convolutions of a block. `None`
      means ReLU, or nothing if activations become {-1, +1}: the sign is the
      non-linearity, and it would be constant after a ReLU.
    stem: order of the steps of the stem.
    tail: activation before the head.
  """

  unit: str = "conv norm"
  per_conv: bool = True
  shortcut: str = "pool_conv"
  projection: str = "float"
  activation: str | None = "identity"
  stem: str = "conv norm max_pool"
  tail: str = "identity"


LAYOUTS = {
  # He et al.; with binary weights the network of BNN and XNOR-Net, which
  # binarize the convolutions of shortcuts too.
  "plain": Layout(
    per_conv=False, shortcut="conv", projection="body", activation=None
  ),
  # Bi-Real Net, Liu et al., ECCV 2018, arXiv:1808.00278.
  "bireal": Layout(),
  # ResNet-E, Bethge et al. 2019, arXiv:1906.08637.
  "resnet_e": Layout(stem="conv norm relu max_pool norm", tail="relu"),
  # The ResNet of ReActNet, Liu et al., ECCV 2020, arXiv:2003.03488.
  "react": Layout(unit="shift conv norm", activation="rprelu"),
  # ReSTE, Wu et al., ICCV 2023, arXiv:2308.06689 (resnet20_bireal.py): the sign
  # sees negative numbers, as the norm comes after the ReLU.
  "reste": Layout(
    unit="conv relu norm", shortcut="pad", stem="conv relu norm max_pool"
  ),
  # IR-Net, Qin et al., CVPR 2020, arXiv:1909.10788. ReCU and BiPer have it with
  # the shortcut "pool_pad".
  "irnet": Layout(
    shortcut="pad", activation="hardtanh", stem="conv norm hardtanh max_pool"
  ),
  # Real-to-Binary, Martinez et al., ICLR 2020, as in larq/zoo (with PReLU in
  # the stem; its comment says ReLU).
  "real_to_binary": Layout(
    unit="norm conv gate prelu", stem="conv norm prelu max_pool"
  ),
}
VERSIONS = ("v1", "v1.5")
PROJECTIONS = ("float", "body", "edge")


@registry.register("model", "resnet")
class ResNet(ImageClassifier):
  """A residual network, by default ResNet-18 with a binary body.

  Float: `weight=None, act=None`. BNN or XNOR-Net: the default. Bi-Real-18:
  `layout="bireal"`; BinaryResNetE-18: `layout="resnet_e"`. OpenVINO's
  resnet50-binary-0001: `variant="50", projection="float"`.

  The layouts `bireal` and `resnet_e` have no activation, because the sign is the
  non-linearity: a float baseline in them needs one, such as
  `activation="prelu"`, and the networks that it is compared with the same.

  Args:
    num_classes: outputs.
    image_shape: `[H, W, C]`.
    variant: "18", "34", "50", "101", or for CIFAR-10 "20" and "8" (16 to 64
      features).
    layout: a key of `LAYOUTS`.
    width: multiplies the features of all stages and of the stem.
    stem: `"imagenet"` (7x7 stride 2, 3x3 pool stride 2) or `"small"` (3x3);
      by default `"small"` below a height of 50.
    version: whether a bottleneck has its stride in its first 1x1 (`"v1"`, the
      paper, HAWQ) or in its 3x3 (`"v1.5"`, AQT, OpenVINO).
    shortcut, projection, activation: replace those of the layout.
    head_norm: whether a norm comes before the head (IR-Net, ReCU, BiPer, ReSTE).
    init: initializer of the kernels: "lecun_normal", or "he_normal" (Kaiming).
    weight, act: binarizers of the body.
    edge_weight, edge_act: binarizers of the first convolution and of the head.
    norm: of all layers, e.g. "batch_channel(statistics='estimate')"
      (`bnnjax list norm`).
    dtype: of the computation.
    rngs: random numbers.

  Raises:
    ValueError: an unknown variant, layout or option, or bottlenecks with a
      shortcut around every convolution.

  Warns:
    UserWarning: float activations in a layout without another non-linearity.
  """

  def __init__(
    self,
    num_classes: int = 1000,
    image_shape: Sequence[int] = (224, 224, 3),
    *,
    variant: str = "18",
    layout: str = "plain",
    width: float = 1.0,
    stem: str | None = None,
    version: str = "v1.5",
    shortcut: str | None = None,
    projection: str | None = None,
    activation: str | None = None,
    head_norm: bool = False,
    init: str = "lecun_normal",
    weight: Spec = "ste",
    act: Spec = "ste",
    edge_weight: Spec = None,
    edge_act: Spec = None,
    norm: str = "batch",
    dtype: Any = None,
    rngs: nnx.Rngs,
  ):
    checks.check_image_shape(image_shape)
    plan = registry.pick("ResNet variant", variant, VARIANTS)
    given = {
      "shortcut": shortcut,
      "projection": projection,
      "activation": activation,
    }
    chosen = dataclasses.replace(
      registry.pick("ResNet layout", layout, LAYOUTS),
      **{k: v for k, v in given.items() if v is not None},
    )
    body = LayerDefaults(weight, act, dtype, norm=norm, init=init)
    _check(plan, chosen, version, variant)
    if chosen.activation is None:
      chosen = dataclasses.replace(
        chosen, activation="identity" if body.takes_signs else "relu"
      )
    if not _bends(f"{chosen.unit} {chosen.activation}"):
      checks.warn_if_linear(
        f"The ResNet with the layout {layout!r}",
        act,
        "Set `activation`, e.g. 'prelu' or 'relu', in all networks that are"
        " compared.",
      )
    plan = plan._replace(features=[scaled(f, width) for f in plan.features])
    edge = body.with_operands(edge_weight, edge_act)
    super().__init__(
      [
        _stem(
          image_shape[-1],
          plan.features[0],
          chosen,
          is_small(stem, image_shape),
          edge,
          rngs,
        )
      ],
      _blocks(plan, chosen, version, body, edge, rngs),
      plan.expansion * plan.features[-1],
      num_classes,
      defaults=edge,
      head_norm=head_norm,
      rngs=rngs,
    )


def _bends(order: str) -> bool:
  """Whether a step is an activation."""
  return bool(ACTIVATIONS.keys() - {"identity"} & {*order.split()})


def _check(plan: Plan, layout: Layout, version: str, variant: str) -> None:
  """Raises `ValueError` for options that do not go together."""
  if version not in VERSIONS:
    raise registry.unknown("ResNet version", version, VERSIONS)
  if layout.projection not in PROJECTIONS:
    raise registry.unknown("projection", layout.projection, PROJECTIONS)
  if plan.bottleneck and layout.per_conv:
    raise ValueError(
      f"ResNet-{variant} has bottlenecks, whose convolutions change the number"
      " of channels: a layout with a shortcut around every convolution needs"
      " variant '18', '20' or '34'."
    )


def _stem(
  image_channels, features, layout: Layout, small, edge: LayerDefaults, rngs
):
  """The first convolution with its norm and, unless small, its pool."""
  order = layout.stem
  if layout.activation == "relu" and "relu" not in order:
    order = order.replace("norm", "norm relu", 1)
  if small:
    order = order.replace(" max_pool", "")
  return Unit(
    order,
    image_channels,
    features,
    3 if small else 7,
    strides=1 if small else 2,
    pool=(3, 2),
    defaults=edge,
    rngs=rngs,
  )


def _convolutions(plan: Plan, features: int, strides: int, version: str):
  """`(out_features, kernel, stride)` of each convolution of a block."""
  if not plan.bottleneck:
    return [(features, 3, strides), (features, 3, 1)]
  first, second = (strides, 1) if version == "v1" else (1, strides)
  return [
    (features, 1, first),
    (features, 3, second),
    (plan.expansion * features, 1, 1),
  ]


def _blocks(
  plan: Plan,
  layout: Layout,
  version: str,
  body: LayerDefaults,
  edge: LayerDefaults,
  rngs: nnx.Rngs,
) -> Iterator[nnx.Module]:
  """The residual blocks of all stages, and the tail."""
  around = {
    "float": body.with_operands(None, None),
    "body": body,
    "edge": edge,
  }[layout.projection]
  before = plan.features[0]
  for stage, (features, blocks) in enumerate(zip(plan.features, plan.blocks)):
    for block in range(blocks):
      strides = 2 if stage and not block else 1
      convolutions = _convolutions(plan, features, strides, version)
      groups = (
        [[c] for c in convolutions] if layout.per_conv else [convolutions]
      )
      for group in groups:
        yield _residual(before, group, layout, body, around, rngs)
        before = group[-1][0]
  yield activation(layout.tail, before)


def _residual(
  before,
  convolutions,
  layout: Layout,
  body: LayerDefaults,
  around: LayerDefaults,
  rngs,
):
  """One shortcut, with the operands of `around`, around convolutions."""
  units, inside, total = [], before, 1
  for i, (features, kernel, strides) in enumerate(convolutions):
    last = i == len(convolutions) - 1
    order = layout.unit if last else f"{layout.unit} {layout.activation}"
    units.append(
      Unit(
        order,
        inside,
        features,
        kernel,
        strides=strides,
        defaults=body,
        rngs=rngs,
      )
    )
    inside, total = features, total * strides
  return Residual(
    units,
    shortcut(
      layout.shortcut, before, inside, total, defaults=around, rngs=rngs
    ),
    activation(layout.activation, inside),
  )
