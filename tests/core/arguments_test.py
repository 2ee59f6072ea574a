import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from bnnjax import models
from bnnjax.core import arguments, registry

MLP = {"name": "mlp", "num_classes": 3, "image_shape": (4, 4, 1)}


@pytest.mark.parametrize(
  ("config", "message"),
  [
    (None, "a mapping with a `name`, got None"),
    ({"num_classes": 3}, "a mapping with a `name`"),
    ({"name": 3}, "name is a string, got 3"),
    ({"name": "mlp", "num_classes": 3}, "model 'mlp' needs `image_shape`"),
    ({**MLP, "hiden": (8,)}, "Did you mean 'hidden'"),
    ({**MLP, "num_classes": 0}, "`num_classes` of model 'mlp' must be an int"),
    ({**MLP, "num_classes": 2.0}, "an int >= 1 .*got 2.0"),
    ({**MLP, "num_classes": True}, "an int >= 1 .*got True"),
    ({**MLP, "num_classes": 2**31}, "below 2\\^31"),
    ({**MLP, "image_shape": 16}, "a sequence, each an int"),
    ({**MLP, "hidden": (8, "x")}, "a sequence, each an int"),
    ({**MLP, "weight": 1}, "a string or a Binarizer or None, got 1"),
    ({**MLP, "dtype": "float99"}, "the type of a float"),
    ({**MLP, "dtype": "int32"}, "the type of a float"),
    ({**MLP, "dtype": "float8_e4m3fn"}, "of 16 bits or more"),
    ({**MLP, "hidden": (2**31 - 1,) * 2}, "would have the shape"),
    ({**MLP, "dtype": 3.0}, "the type of a float"),
    ({"name": "resnet", "width": float("nan")}, "a number >= 0"),
    ({"name": "pokebnn", "stages": ((64, 3), 5)}, r"each \(an int .*, an int"),
    ({"name": "pokebnn", "tag": 1}, "True or False, got 1"),
    ({"name": "bert", "attention": 1}, "a string or a mapping or None"),
  ],
)
def test_what_a_model_cannot_use_is_refused(config, message):
  with pytest.raises(ValueError, match=message):
    models.build(config, rngs=nnx.Rngs(0))


def test_rngs_of_another_type_are_refused():
  with pytest.raises(TypeError, match="must be nnx.Rngs, got 0"):
    models.build(MLP, rngs=0)


@pytest.mark.parametrize(
  "dtype", [None, "bfloat16", jnp.float16, np.float32, np.dtype("float32")]
)
def test_types_of_floats_are_taken(dtype):
  given = {**MLP, "num_classes": np.int64(3), "hidden": [8], "dtype": dtype}
  del given["name"]
  arguments.check("mlp", registry.accepts("model", "mlp"), given)
