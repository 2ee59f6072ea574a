"""Hostile spec strings: refused when read, quickly, with what would be right."""

import pytest

from bnnjax.core import spec as spec_lib
from bnnjax.core.spec import parse
from bnnjax.data import augment


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("absmax(bits=99999999999999999999)", "whole number from 2 to 8, got 9999"),
    ("absmax(bits=True)", "whole number from 2 to 8, got True"),
    ("absmax(bits=4.0)", "whole number from 2 to 8, got 4.0"),
    ("dorefa_act(bits=0)", "from 1 to 8, got 0"),
    (f"ste(clip={'-' * 5000}1)", "at most 2000 characters, got 5011"),
    (f"ste(clip={'-' * 1500}1)", "they are keyword=literal"),
    (f"ste(clip={'(' * 300}1{')' * 300})", "they are keyword=literal"),
    ("ste(clip=1e400)", "number above 0 or None, got inf"),
    ("ste(clip=1j)", "got 1j"),
    ("ste(clip=True)", "got True"),
    ("ste(clip='1')", "got '1'"),
    ("ste(clip=...)", "got Ellipsis"),
    ("ste(clip=[1])", "they are keyword=literal"),
    ("ste(clip=0)", "number above 0 or None, got 0"),
    ("ste(clip=1, clip=2)", "they are keyword=literal"),
    ("ste(clip=1)(strict=True)", "they are keyword=literal"),
    ("ste(clip=1 if 1else 2)", "they are keyword=literal"),
    ("ste(strict=1)", "one of False, True, got 1"),
    ("ste_heaviside(clip=None, strict=None)", "`strict` of estimator"),
    ("ede(t=linear(start=2.0, end=0.0))", r"got linear\(start=2.0, end=0.0\)"),
    ("dorefa(bits=2)", "'dorefa' .* is a method: its name stands alone"),
    ("center > dorefa", "is a method: its name stands alone"),
    ("ste|", "has '|', but names no scale"),
    (" > ste", "has '>', but names no transform"),
    ("ste(clip=geometric(start=0.0, end=1.0))", "`start` of schedule 'geometric'"),
    ("ste(clip=switch(at=1.5))", "`at` of schedule 'switch' must be a step"),
    ("ste(clip=cosine(ahead=-1.0))", "`ahead` of schedule 'cosine'"),
    ("ste(clip=staircase(end=10000000000))", "`end` of schedule 'staircase'"),
    ("ste|group_l1(size=0)", "whole number >= 1, got 0"),
    ("ste|group_l1(size=128.0)", "whole number >= 1, got 128.0"),
    ("ste|learned(init=1j)", "or one of 'l1', 'max', 'uniform', got 1j"),
    ("ste|learned(init=0.0)", "a number from 0 to 60000 .0 excluded. or"),
    ("ste|learned(init='l2')", "Did you mean 'l1'"),
    ("ste|fixed(value='x')", "`value` of scale 'fixed' must be a number from 0"),
    ("ste|ema_bound(rate=2)", "from 0 to 1 .0 excluded., got 2"),
    ("ste|affine(per='row')", "`per` of scale 'affine' must be one of"),
    ("standardize(gain=()) > ste", "`gain` of transform 'standardize'"),
    ("standardize(eps=0.0) > ste", "`eps` of transform 'standardize'"),
    ("recu(tau=100000000000000000000) > ste", "`tau` of transform 'recu'"),
    ("center(per='colum') > ste", "`per` of transform 'center'"),
    ("ksh > ste", "Transform 'ksh' is made for the role 'act'"),
  ],
)  # fmt: skip
def test_refused_when_read(spec, message):
  with pytest.raises(ValueError, match=message):
    parse(spec, "weight")


def test_unknown_options():
  with pytest.raises(
    ValueError, match="option of a binarizer 'gradiant'.*gradient"
  ):
    parse("ste", "weight", gradiant="none")
  for start in (-1, 1.5, True, float("nan"), "0"):
    with pytest.raises((TypeError, ValueError), match="A time is"):
      parse("ste", "weight", start=start)


@pytest.mark.parametrize(
  ("text", "want"),
  [
    ("", []),
    ("a", ["a"]),
    ("a(1, 2), b(c=(3, 'x, y')) ,", ["a(1, 2)", "b(c=(3, 'x, y'))"]),
    ("[a, b()]", ["a", "b()"]),
  ],
)
def test_parts(text, want):
  assert spec_lib.parts(text) == want
  assert spec_lib.parts(f"  {text}") == want


def test_parts_of_what_cannot_be_read():
  for text in ("a(1", "a b", "(" * 500, "a;b"):
    with pytest.raises(spec_lib.Unreadable):
      spec_lib.parts(text)


def test_a_part_as_a_call():
  def read(text):
    return spec_lib.part("augment", text, text, as_call=True)

  crop = augment.RandomResizedCrop
  want = (crop, (("size", 8), ("ratio", [1, 2])))
  assert read(" random_resized_crop( 8, ratio=[1, 2])") == want
  assert read("flip") == read("flip()") == (augment.Flip, ())
  for text in ("flip(*(1,))", "flip(**{})", "flip(1)(2)", "flip(1) + (2)"):
    with pytest.raises(spec_lib.Unreadable):
      read(text)
  for text in ("random_resized_crop(scale=(0.5, 1))", "flip(1, 2)"):
    with pytest.raises(ValueError, match="is written '.*': got arguments"):
      read(text)
