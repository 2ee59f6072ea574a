"""Every size convention on one small network, by hand."""

import math

import jax
import jax.numpy as jnp
import pytest

from bnnjax.core.bits import BitTag, tag
from bnnjax.cost import count, sizes
from bnnjax.cost.ledger import Parameter


def parameter(path, shape, role, bits=32, row=0, tagged=False, **kw):
  return Parameter(path, shape, 32, role, bits, row, tagged, **kw)


NET = (
  parameter("conv.kernel", (3, 3, 4, 8), "kernel", 1, 36, True),
  parameter("bn.scale", (8,), "bn"),
  parameter("bn.bias", (8,), "bn"),
  parameter("bn.mean", (8,), "bn_stat", trained=False),
  parameter("bn.var", (8,), "bn_stat", trained=False),
  parameter("prelu.slope", (8,), "other"),
  parameter("head.kernel", (8, 5), "kernel", row=8),
  parameter("head.bias", (5,), "bias"),
)
LOW, HIGH = 288, 40

EXPECTED = {
  "packed": LOW + 32 * HIGH,
  "packed_rows": 8 * 64 + 32 * HIGH,  # 36 bits a row: two words
  "deployed": 8 * 64 + 32 * (HIGH + 5 + 8 + 4 * 8),
  "larq": LOW + 32 * (HIGH + 5 + 8 + 2 * 8),
  "larq_int8": LOW + 8 * (HIGH + 5 + 8 + 2 * 8),
  "aqt": LOW + 16 * HIGH,
  "hawq": LOW + 32 * HIGH,
  "fracbnn": LOW + 8 * (HIGH + 5),
  "fracbnn_float32": LOW + 32 * (HIGH + 5),
  "bibert": LOW + 32 * (HIGH + 5 + 8 + 2 * 8),
  "half": LOW + 16 * (HIGH + 5 + 8 + 2 * 8),
  "float32": 32 * (LOW + HIGH + 5 + 8 + 2 * 8),
}


@pytest.mark.parametrize("name", sizes.CONVENTIONS)
def test_convention(name):
  assert sizes.weight_bits(NET, name) == EXPECTED[name]
  assert sizes.CONVENTIONS[name][1]


def test_hawq_without_tags_takes_every_parameter():
  ps = tuple(p for p in NET if not p.tagged)
  assert sizes.weight_bits(ps, "hawq") == 32 * (HIGH + 5 + 8 + 16)


def test_fused_batch_norm_keeps_terms_without_a_partner():
  no_gamma = tuple(p for p in NET if p.path != "bn.scale")
  assert sizes.fused_batch_norm(no_gamma) == 16
  only_mean = tuple(p for p in NET if p.path == "bn.mean")
  assert sizes.fused_batch_norm(only_mean) == 8


def test_unknown_convention():
  report = count(lambda x: x, jax.ShapeDtypeStruct((2,), jnp.float32))
  with pytest.raises(ValueError, match=r"'larqq'.*Did you mean 'larq'"):
    report.weight_bytes("larqq")


def test_sparse_terms_store_their_share_and_a_mask_when_deployed():
  def f(w, x):
    return x @ tag(w, [BitTag(1, density=0.75), BitTag(8, density=0.25)])

  shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((64, 3), (2, 64))]
  report = count(f, *shapes, params=0)
  per_element = 0.75 + 2
  assert report.weight_bits() == math.ceil(192 * per_element)
  row = math.ceil(64 * per_element / 32) * 32
  assert report.weight_bits("deployed") == 3 * row + 192
