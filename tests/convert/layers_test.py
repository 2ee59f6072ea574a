"""Which layers are binarized, and which are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import bnnjax as bx
from bnnjax.convert import found
from bnnjax.errors import UserError
from tests.convert import networks
from tests.convert.networks import RULE


def test_embeddings():
  """A table is binarized where a rule gives its weight, not by any method."""
  ids = jnp.array([[1, 2], [0, 3]])
  table = nnx.Embed(4, 3, rngs=nnx.Rngs(0))
  kept = table(ids)
  model = networks.Around(table)
  for useless in ("reactnet", {"act": "ste"}):
    with pytest.raises(UserError, match="an Embed, which it does not binarize"):
      bx.binarize(model, {"layer.*": useless}, ids)
  np.testing.assert_array_equal(model(ids), kept)
  _, report = bx.binarize(model, {"layer": {"weight": "ste|channel_l1"}}, ids)
  assert report.layers[1].rule.weight == "ste|channel_l1"
  low_bit, _ = bx.parse("ste|channel_l1", "weight").apply(table.embedding[...])
  np.testing.assert_array_equal(model(ids), low_bit.dequantize()[ids])


@pytest.mark.parametrize(
  ("layer", "rule", "says"),
  [
    (
      nnx.Conv(4, 3, (1,), mask=jnp.ones((1, 4, 3)), rngs=nnx.Rngs(0)),
      RULE,
      "'layer' (Conv) is not binarized: a convolution with a mask",
    ),
    (
      nnx.Linear(4, 3, dot_general=lambda *a, **k: None, rngs=nnx.Rngs(0)),
      RULE,
      "has a `dot_general` of its own",
    ),
    (
      nnx.ConvTranspose(4, 3, (2,), rngs=nnx.Rngs(0)),
      "xnor_net_pp",
      "conv transpose takes no `output`",
    ),
    (
      nnx.Embed(4, 3, rngs=nnx.Rngs(0)),
      {"weight": "ste", "output": "channel"},
      "embed takes no `output`",
    ),
    (
      nnx.Linear(4, 3, rngs=nnx.Rngs(0)),
      "bop",
      "weights of 'bop' have no latent ones",
    ),
    (
      nnx.Conv(4, 3, (2,), padding="CIRCULAR", rngs=nnx.Rngs(0)),
      {"weight": "ste", "output": "spatial_l1"},
      "'spatial_l1' needs the padding",
    ),
  ],
)
def test_layers_that_cannot_be_binarized(layer, rule, says):
  model = networks.Around(layer)
  state = nnx.state(model)
  with pytest.raises(UserError) as error:
    bx.binarize(model, {"ends.0": None, "ends.1": None, "layer": rule})
  assert says in str(error.value)
  assert not any(layer.is_binarized for layer in found.layers(model))
  jax.tree.map(np.testing.assert_array_equal, nnx.state(model), state)


def test_layers_draw_their_own_random_numbers():
  """The noise of gradients in two layers is not the same."""
  model = nnx.Sequential(*[nnx.Linear(4, 4, rngs=nnx.Rngs(0)) for _ in "abcd"])
  bx.binarize(model, {r"layers\.[12]": "dorefa"}, jnp.ones((2, 4)))
  one, two = (model.layers[i].dot_general.grad_key[...] for i in (1, 2))
  assert not np.array_equal(one, two)


def test_a_kernel_that_is_a_plain_array_is_refused():
  layer = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
  layer.kernel = nnx.data(layer.kernel.get_value())
  with pytest.raises(UserError, match="`kernel` is no nnx.Variable"):
    bx.binarize(networks.Around(layer), {"layer": RULE}, jnp.ones((1, 4)))


def test_options_of_a_layer_may_be_lists():
  """They cannot be compared as jax compares the options of programs."""
  layer = nnx.Conv(2, 3, [1, 1], strides=[1, 1], rngs=nnx.Rngs(0))
  rule = {"weight": "ste|learned"}
  bx.binarize(
    networks.Around(layer), {"ends.0": None, "ends.1": None, "layer": rule}
  )
  scale = layer.conv_general_dilated.weight.params["scale"][...]
  wanted = jnp.abs(layer.kernel[...]).mean((0, 1, 2), keepdims=True)
  np.testing.assert_allclose(scale, wanted, rtol=1e-6)
