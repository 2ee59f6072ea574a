"""Energy by hand from the cited tables."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import bnnjax.methods  # noqa: F401 (registers them)
from bnnjax.core.bits import tag
from bnnjax.cost import count, energy
from bnnjax.cost.energy import integer_addition
from bnnjax.layers.attention import Attention, options


def test_float32_at_45nm():
  assert energy(10, 20) == pytest.approx(10 * 3.7 + 20 * 0.9)
  assert energy(1, 1, "7nm", format="bf16") == pytest.approx(0.32)
  assert energy(2, 3, {"mul": 5, "add": 7}) == 31


def test_a_report_takes_the_format_of_the_wider_operand():
  def net(x, w):
    return (
      tag(x, 1) @ tag(w, 8),
      x @ w,
      tag(x, 16) @ tag(w, 2),
      tag(x, 4) @ tag(w, 8),
    )

  x, w = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 4), (4, 3)))
  report = count(net, x, w)
  # Sums of four products: 8 + 1 + 2 and 8 + 4 + 2 bits, of 8 to 32.
  low = 24 * (0.03 + 0.07 * 3 / 24)
  low += 24 * (0.2 / 2 + 0.03 + 0.07 * 6 / 24)
  assert report.energy() == pytest.approx(low + 24 * 4.6 + 24 * 1.5)
  low = 24 * (0.007 + 0.023 * 3 / 24)
  low += 24 * (0.07 / 2 + 0.007 + 0.023 * 6 / 24)
  assert report.energy("7nm") == pytest.approx(low + 24 * 1.69 + 24 * 0.32)
  # One of the four products has no multiplication.
  assert report.energy({"mul": 1, "add": 1}) == 7 / 4 * report.total_macs


@pytest.mark.parametrize(
  ("w_bits", "a_bits"), [(1, 32), (32, 1), (1, 16), (1, 1)]
)
def test_a_one_bit_operand_is_added_not_multiplied(w_bits, a_bits):
  def net(x, w):
    return tag(x, a_bits) @ tag(w, w_bits)

  shapes = ((5, 1024), (1024, 3))
  report = count(net, *(jax.ShapeDtypeStruct(s, "float32") for s in shapes))
  add = {32: 0.9, 16: 0.4, 1: 0.03 + 0.07 * (1 + 1 + 10 - 8) / 24}
  assert report.energy() == pytest.approx(
    5 * 1024 * 3 * add[max(w_bits, a_bits)]
  )


def test_additions_are_linear_between_int8_and_int32():
  assert [integer_addition(b) for b in (2, 8, 20, 32, 40)] == pytest.approx(
    [0.03, 0.03, 0.065, 0.1, 0.1]
  )
  assert integer_addition(20, "7nm") == pytest.approx((0.007 + 0.03) / 2)


def test_ecoformers_layer_by_the_papers_rule():
  """Codes of 16 bits, 2 heads of 64, 256 tokens: additions alone."""
  tokens, heads, codes, size = 256, 2, 16, 64
  layer = nnx.eval_shape(
    lambda: Attention(heads * size, heads, **options("ecoformer"),
                      rngs=nnx.Rngs(0))
  )  # fmt: skip
  report = count(layer, jax.ShapeDtypeStruct((1, tokens, 128), "float32"))
  (low,) = (n for bits, n in report.macs.items() if 1 in bits)
  # get_energy.py's additions 2 H N b D, and H N b of the denominator.
  assert low == 2 * heads * tokens * codes * size + heads * tokens * codes
  rest = report.total_macs - low
  assert report.energy() - 4.6 * rest == pytest.approx(0.951e6, rel=1e-3)


def test_weights_from_dram():
  def net(x, w):
    return x @ tag(w, 1)

  x, w = (jax.ShapeDtypeStruct(s, "float32") for s in ((2, 40), (40, 3)))
  report = count(net, x, w, params=1)
  read = 3 * 8 * 162.5  # three rows of two words, 1300 pJ for eight bytes
  for table in ("45nm", "7nm"):
    extra = report.energy(table, dram=True) - report.energy(table)
    assert extra == pytest.approx(read)
  own = {"mul": 1, "add": 1, "dram": 2}
  assert report.energy(own, dram=True) == 240 + 48
  assert report.to_json()["energy_with_dram_pj"]["45nm"] == pytest.approx(
    240 * 0.9 + read
  )
  with pytest.raises(ValueError, match="needs 'dram' in pJ a byte"):
    report.energy({"mul": 1, "add": 1}, dram=True)
  with pytest.raises(ValueError, match="'45mn'.*Did you mean '45nm'"):
    report.energy("45mn", dram=True)


def test_unknown_tables_and_formats():
  with pytest.raises(ValueError, match=r"'45mn'.*Did you mean '45nm'"):
    energy(1, 1, "45mn")
  with pytest.raises(ValueError, match="number format of the 45nm table"):
    energy(1, 1, format="bf16")
  with pytest.raises(ValueError, match="needs 'mul' and 'add'"):
    energy(1, 1, {"mul": 1})
