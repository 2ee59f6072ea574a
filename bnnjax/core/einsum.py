"""Einsum of two operands that may be low-bit."""

import collections
import string

import jax
from jax import lax

from bnnjax.core.bilinear import Einsum
from bnnjax.core.dot_and_conv import contract
from bnnjax.core.quantized import Quantized


def einsum(
  equation: str,
  a: "jax.Array | Quantized",
  w: "jax.Array | Quantized",
  *,
  precision: lax.PrecisionLike = None,
) -> jax.Array:
  """`jnp.einsum(equation, a, w)` of low-bit or float operands.

  Forward: values are contracted. A scale over axes of the output multiplies the
  output; another moves to the other operand if that is float, and otherwise
  stays with its own. Backward: the cotangents of the dequantized operands go to
  their surrogates. If a low-bit operand is summed along an axis that the other
  lacks, the *sum* is contracted; it is not low-bit, and is counted as such.

  Args:
    equation: two operands, as in `jnp.einsum`: batch axes, several contracted
      axes, `...`, an axis twice for a diagonal, with or without `->`.
    a, w: arrays or `Quantized`; without tags, `w` is the weight.
    precision: as in `jax.lax.dot_general`.

  Returns:
    The output, dtype of `a`; for two float operands their common dtype.

  Raises:
    TypeError: one operand is low-bit, and the dtypes differ.
    ValueError: a bad equation, more or fewer than two operands, or sizes that
      do not agree.

  Example:
    >>> w = bx.parse("ste|channel_l1", "weight").apply(jnp.ones((4, 8, 3)))[0]
    >>> bx.einsum("bek,eko->beo", jnp.ones((2, 4, 8)), w).shape
    (2, 4, 3)
  """
  op = Einsum(*read(equation, a.shape, w.shape), precision)
  return contract(op, a, w)


def read(equation: str, *shapes: tuple[int, ...]) -> tuple[str, str, str]:
  """Letters of both operands and of the output, with `...` as letters.

  Raises:
    TypeError, ValueError: as `einsum`.
  """
  if not isinstance(equation, str):
    raise TypeError(f"`equation` is a text such as 'ij,jk', got {equation!r}.")
  inputs, arrow, out = equation.replace(" ", "").partition("->")
  operands = inputs.split(",")
  if len(operands) != 2:
    raise ValueError(
      f"`einsum` takes two operands, got {len(operands)} in {equation!r}:"
      " contract more of them in pairs."
    )
  for term in (*operands, out):
    letters = term.replace("...", "", 1)
    if not set(letters) <= set(string.ascii_letters):
      raise ValueError(
        f"An operand of an einsum is letters and at most one '...', got {term!r}"
        f" in {equation!r}."
      )
  free = [c for c in string.ascii_letters if c not in equation]
  rest = [_rest(t, shape, equation) for t, shape in zip(operands, shapes)]
  # Axes under `...` are numbered from the right.
  common = "".join(free[: max(rest)])
  if len(common) < max(rest):
    raise ValueError(f"{equation!r} has more axes than the alphabet letters.")
  left, right = (
    t.replace("...", common[len(common) - n :]) for t, n in zip(operands, rest)
  )
  if arrow:
    out = out.replace("...", common)
  else:
    once = [c for c, n in collections.Counter(left + right).items() if n == 1]
    out = common + "".join(sorted(c for c in once if c not in common))
  _check_output(equation, left + right, out)
  _check_sizes(equation, (left, right), shapes)
  return left, right, out


def _rest(term: str, shape: tuple[int, ...], equation: str) -> int:
  """Number of axes that `...` stands for."""
  letters = term.replace("...", "")
  rest = len(shape) - len(letters)
  if rest < 0 or (rest and letters == term):
    raise ValueError(
      f"The operand {term!r} of {equation!r} has {len(letters)} axes, got shape"
      f" {tuple(shape)}."
    )
  return rest


def _check_output(equation: str, inputs: str, out: str) -> None:
  for letter in out:
    if letter not in inputs:
      raise ValueError(
        f"The output of {equation!r} has an axis {letter!r} that no operand has."
      )
    if out.count(letter) > 1:
      raise ValueError(
        f"The output of {equation!r} has the axis {letter!r} more than once."
      )


def _check_sizes(equation: str, operands, shapes) -> None:
  """Raises unless an axis has one size, or 1 in one of the operands."""
  found: dict[str, int] = {}
  for letters, shape in zip(operands, shapes):
    own: dict[str, int] = {}
    for letter, size in zip(letters, shape):
      same = own.setdefault(letter, size)
      before = found.get(letter, size)
      if same != size or (before != size and 1 not in (before, size)):
        what = f"{letter!r}" if letter in equation else "an axis under '...'"
        raise ValueError(
          f"The sizes of {what} in {equation!r} do not agree: got"
          f" {', '.join(str(tuple(s)) for s in shapes)}."
        )
    for letter, size in own.items():
      found[letter] = max(size, found.get(letter, size))
