"""Vision transformers: sizes as published, tokens, training, errors."""

import pytest
from flax import nnx

from tests import image_models


# timm's DeiT.
@pytest.mark.parametrize(
  ("variant", "parameters"),
  [("tiny", 5_717_416), ("small", 22_050_664), ("base", 86_567_656)],
)
def test_parameters(variant, parameters):
  assert image_models.sizes("vit", variant=variant) == parameters


def test_a_token_for_each_patch_and_the_class():
  model = image_models.abstract("vit", (32, 16, 1), patch=8, blocks=1)
  assert model.position.shape == (1, 1 + 4 * 2, 192)
  assert len(model.blocks) == 1


def test_one_step():
  image_models.check_gradients("vit", variant="tiny", patch=8, blocks=1)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"variant": "huge"}, "Unknown ViT variant 'huge'"),
    ({"patch": 13}, "Patches of 13x13 do not tile"),
  ],
)
def test_errors(arguments, message):
  with pytest.raises(ValueError, match=message):
    nnx.eval_shape(lambda: image_models.build("vit", **arguments))
