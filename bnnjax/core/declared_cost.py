"""Functions whose cost is declared instead of counted.

The chunked form of a recurrence multiplies more than the recurrence itself, and
larger chunks, chosen for speed, multiply more still. `counted_as` declares what
such a function computes: `bnnjax.cost` counts the declaration, and lists the
work that runs in its place on a line of its own.

Like the bit tag, the declaration is a primitive that is the identity and lowers
to nothing. It follows transformations: a batch of `n` counts `n` times, a scan
counts its length, and the gradient counts twice the forward pass, as for any
product.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

SCOPE = "counted_as"  # named scope of the work that is replaced
counted_p = Primitive("counted_as")
counted_p.multiple_results = True


@counted_p.def_impl
def _impl(*xs, **_):
  return list(xs)


@counted_p.def_abstract_eval
def _abstract_eval(*xs, **_):
  return list(xs)


def _linear(xs, params):
  """Binds all but symbolic zeros; a product has two derivatives."""
  known = [x for x in xs if type(x) is not ad.Zero]
  twice = {**params, "macs": 2 * params["macs"]}
  found = iter(counted_p.bind(*known, **twice, linear=True) if known else ())
  return [x if type(x) is ad.Zero else next(found) for x in xs]


def _jvp(primals, tangents, *, linear, **params):
  out = counted_p.bind(*primals, **params, linear=linear)
  if linear:  # the derivative of a derivative: the declaration itself
    params = {**params, "macs": params["macs"] // 2}
  return out, _linear(tangents, params)


def _transpose(cotangents, *_, linear, **params):
  del linear
  return _linear(cotangents, {**params, "macs": params["macs"] // 2})


def _batch(xs, dims, *, macs, **params):
  size = next(x.shape[d] for x, d in zip(xs, dims) if d is not None)
  return counted_p.bind(*xs, macs=size * macs, **params), list(dims)


ad.primitive_jvps[counted_p] = _jvp
ad.primitive_transposes[counted_p] = _transpose
batching.primitive_batchers[counted_p] = _batch
mlir.register_lowering(counted_p, lambda ctx, *xs, **_: list(xs))


def counted_as(
  run: Callable[..., Any],
  macs: int,
  *,
  length: int = 1,
  bits: tuple[int, int] = (32, 32),
  what: str = "a recurrence",
) -> Callable[..., Any]:
  """`run`, counted as a declared number of multiply-accumulates.

  Forward and backward are those of `run`. MACs, ACE and the figures made from
  them count the declaration instead of the dot products and convolutions of
  `run`, which the report lists as `replaced`. Elementwise work and activations
  are counted as they run.

  Args:
    run: a function of arrays that returns arrays.
    macs: multiply-accumulates of one call.
    length: number of products in one sum.
    bits: widths of weight and activation.
    what: the declared work in words.

  Raises:
    ValueError: negative work, or an impossible width.

  Example:
    >>> total = counted_as(lambda x: jnp.cumsum(x @ x, 0), macs=10)
    >>> count(total, jax.ShapeDtypeStruct((4, 4), "float32")).total_macs
    10
  """
  if macs < 0 or length < 1 or min(bits) < 1:
    raise ValueError(
      "`counted_as` takes macs >= 0, length >= 1 and two widths >= 1: got"
      f" macs={macs!r}, length={length!r}, bits={bits!r}."
    )

  @functools.wraps(run)
  def counted(*args):
    with jax.named_scope(SCOPE):
      out = run(*args)
    leaves, tree = jax.tree.flatten(out)
    leaves = counted_p.bind(
      *leaves, macs=macs, length=length, bits=bits, what=what, linear=False
    )
    return jax.tree.unflatten(tree, leaves)

  return counted
