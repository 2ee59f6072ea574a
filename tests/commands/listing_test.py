"""`bnnjax list`: kinds, the names of one, what a name means."""

import pytest

from bnnjax.commands import listing
from bnnjax.commands.list import KINDS
from bnnjax.core import registry
from bnnjax.errors import UserError


def test_all_kinds_and_names():
  text = listing.of(None, KINDS)
  for kind in ("method", "estimator", "model", "task", "source", "augment"):
    assert f"{kind}:\n  (" in text
    assert all(name in text for name in registry.registered(kind))
  assert max(map(len, text.splitlines())) <= 80


def test_a_kind():
  lines = listing.of("estimator").splitlines()
  assert lines[0] == "estimator:"
  (ste,) = [line for line in lines if line.startswith("  ste ")]
  assert ste.endswith("Sign with a clipped identity as surrogate.")


@pytest.mark.parametrize(
  ("name", "wanted"),
  [
    ("ede", [
      "estimator ede", "Backward: `dx = dy k t (1 - tanh(t x)^2)`",
      "t=10.0 a number from 0.0001 to 10000", "k=None", "at_zero=1 one of 1, -1",
      "alphabet (-1, 1)", "method irnet IR-Net",
    ]),
    ("reste", [
      "method reste", "paper ReSTE, Wu et al., ICCV 2023", "arxiv 2308.06689",
      "|tensor_l1 gradient='full'", "formula of reste Forward: `sign(x)`",
      "estimator reste", "o=3.0 a number from 1 to 100",
    ]),
    ("bibert", ["family transformer", "'mixer': 'none'", "embedding center("]),
    ("mlp", [
      "model mlp", "num_classes an int >= 1", "hidden=(256, 256) a sequence",
      "weight='ste' a string or a Binarizer or None",
    ]),
    ("plays", ["source plays", "max_len=128 int", "tokenizer='chars' str"]),
    ("classification", ["label_smoothing=0.0 float", "| None"]),
    ("rank1", ["output rank1", "size=64 a whole number >= 1"]),
    ("pad_crop", ["augment pad_crop", "padding int"]),
    ("center_clamp", ["projection center_clamp", "bound=1.0"]),
  ],
)  # fmt: skip
def test_a_name(name, wanted):
  text = " ".join(listing.of(name).split())
  for words in wanted:
    assert words in text


def test_every_name_can_be_shown():
  for kind in registry.kinds():
    for name in registry.registered(kind):
      assert f"{kind} {name}" in listing.of(name)


def test_a_typo():
  for name, near in (("pokebn", "pokebnn"), ("sources", "source")):
    with pytest.raises(UserError, match=f"Did you mean '{near}'"):
      listing.of(name)


def test_kinds_of_others():
  with registry.restored():
    registry.register("colour", "red")("a string")
    assert "colour:\n  red" in listing.of(None, KINDS)
    assert listing.of("red") == "colour red"
