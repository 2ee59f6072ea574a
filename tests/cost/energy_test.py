"""Energy by hand from the cited tables."""

import jax
import jax.numpy as jnp
import pytest

from bnnjax.core.bits import tag
from bnnjax.cost import count, energy


def test_float32_at_45nm():
  assert energy(10, 20) == pytest.approx(10 * 3.7 + 20 * 0.9)
  assert energy(1, 1, "7nm", format="bf16") == pytest.approx(0.32)
  assert energy(2, 3, {"mul": 5, "add": 7}) == 31


def test_a_report_takes_the_format_of_the_wider_operand():
  def net(x, w):
    return tag(x, 1) @ tag(w, 8), x @ w, tag(x, 16) @ tag(w, 2)

  x, w = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 4), (4, 3)))
  report = count(net, x, w)
  low = 24 * (0.2 / 8 + 0.03)
  assert report.energy() == pytest.approx(low + 24 * 4.6 + 24 * 1.5)
  low = 24 * (0.07 / 8 + 0.007)
  assert report.energy("7nm") == pytest.approx(low + 24 * 1.69 + 24 * 0.32)
  assert report.energy({"mul": 1, "add": 1}) == 2 * report.total_macs


def test_unknown_tables_and_formats():
  with pytest.raises(ValueError, match=r"'45mn'.*Did you mean '45nm'"):
    energy(1, 1, "45mn")
  with pytest.raises(ValueError, match="number format of the 45nm table"):
    energy(1, 1, format="bf16")
  with pytest.raises(ValueError, match="needs 'mul' and 'add'"):
    energy(1, 1, {"mul": 1})
