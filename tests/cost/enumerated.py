"""Programs and their MACs by enumeration, for `enumerated_test`.

Convolutions are next door. Here are products of letters (einsum), of words
(population counts) and inside loops; `programs` is all of them.
"""

import itertools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bnnjax.core.bits import tag
from tests.cost.enumerated_convolutions import (
  Program,
  convolutions,
  library_transposed,
  shape,
)

SIZES = dict(zip("abcdmnkl", (2, 3, 2, 1, 4, 5, 6, 3)))
EINSUMS = (
  "mk,kn->mn mk,nk->mn km,kn->nm k,k-> mk,k->m k,kn->n amk,akn->amn"
  " abmk,abnk->abmn amk,kn->amn amk,kn->nam ambk,bnk->abmn mkl,kln->mn"
  " mkl,lkn->nm am,an->amn m,n->mn abmkl,akln->bamn mk,kl->ml abk,abk->ab"
  " dmk,dkn->dmn dm,dn->mn akbl,kbln->abn kl,kl-> makb,bkan->mn ak,ak->a"
  " abcm,cban->nm amkn,akl->amnl k,kabc->cab cmk,cnk->cmn abk,bk->ab"
  " bak,abkn->nab mc,nc->mn am,bm->ab"
)


def einsums() -> Iterator[Program]:
  for i, spec in enumerate(EINSUMS.split()):
    left, right = spec.split("->")[0].split(",")
    letters = sorted({*left, *right})
    macs = sum(1 for _ in np.ndindex(*(SIZES[c] for c in letters)))
    bits = ((1, 1), (4, 8), (32, 32))[i % 3]

    def function(x, w, spec=spec, bits=bits):
      w, x = (
        tag(v, n, role=role) if n < 32 else v
        for v, n, role in ((w, bits[0], "weight"), (x, bits[1], "act"))
      )
      return jnp.einsum(spec, x, w)

    args = [shape(*(SIZES[c] for c in term)) for term in (left, right)]
    yield Program("einsum", spec, function, tuple(args), {bits: macs})


def loops() -> Iterator[Program]:
  """A product of 4x4 inside loops; a dead one beside it in every other."""
  square = shape(4, 4)

  def scan(n, f, c):
    return lax.scan(lambda c, _: (f(c), None), c, None, length=n)[0]

  def reverse(n, f, c):
    xs = jnp.zeros((n, 4, 4))
    body = lambda c, x: (f(c) + x, c @ c)  # noqa: E731
    return lax.scan(body, c, xs, reverse=True)[0]  # its stacked results: dead

  def fori(n, f, c):
    return lax.fori_loop(0, n, lambda _, c: f(c), c)

  def down(n, f, c):
    body = lambda s: (s[0] - 1, f(s[1]), s[2] @ s[2])  # noqa: E731
    return lax.while_loop(lambda s: s[0] > 0, body, (n, c, c))[1]

  def mapped(n, f, c):
    return lax.map(f, jnp.broadcast_to(c, (n, 4, 4))).sum(0)

  def vmapped(n, f, c):
    return jax.vmap(f)(jnp.broadcast_to(c, (n, 4, 4)).copy()).sum(0)

  ways = dict(
    scan=scan, reverse=reverse, fori=fori, down=down, map=mapped, vmap=vmapped
  )
  for name, way in ways.items():
    for n in (1, 2, 5):
      yield Program(
        "scan",
        f"{name} {n}",
        lambda x, way=way, n=n: way(n, lambda c: tag(c, 1) @ c, x),
        (square,),
        {(32, 1): n * 64},
      )
  for (a, outer), (b, inner) in itertools.product(ways.items(), repeat=2):
    if a == "reverse" or b == "vmap":
      continue

    def function(x, outer=outer, inner=inner):
      return outer(3, lambda c: inner(2, lambda c: c @ c, c), x)

    name = f"{b} in {a}"
    yield Program("scan", name, function, (square,), {(32, 32): 6 * 64})


# --------------------------------------------------------- packed products


def _fori(p):
  start = jnp.zeros(p.shape[:-1], p.dtype)
  return lax.fori_loop(0, p.shape[-1], lambda i, c: c + p[..., i], start)


def _scanned(p):
  start = jnp.zeros(p.shape[:-1], p.dtype)
  return lax.scan(lambda c, x: (c + x, None), start, jnp.moveaxis(p, -1, 0))[0]


SUMS = {
  "sum": lambda p: p.sum(-1),
  "float sum": lambda p: p.astype(jnp.float32).sum(-1),
  "ones": lambda p: jnp.einsum("mnk,k->mn", p, jnp.ones(p.shape[-1], p.dtype)),
  "dot": lambda p: p.astype(jnp.float32) @ np.ones(p.shape[-1], np.float32),
  "reduce": lambda p: lax.reduce(p, p.dtype.type(0), lax.add, (2,)),
  "fori": _fori,
  "scan": _scanned,
  "cumsum": lambda p: jnp.cumsum(p, -1)[..., -1],
  "by hand": lambda p: sum(p[..., i] for i in range(p.shape[-1])),
}
BITS = {
  "xor": lambda x, w: x ^ w,
  "and": lambda x, w: x & w,
  "xnor": lambda x, w: ~(x ^ w),
}


def words() -> Iterator[Program]:
  """`[2, W]` by `[3, W]` words, with the length and without."""
  kinds = itertools.product(SUMS, BITS, ("uint8", "uint16", "uint32", "int32"))
  for i, (how, which, dtype) in enumerate(kinds):
    width, length = jnp.iinfo(dtype).bits, (None, 100, 64, 3)[i % 4]
    count = 4 if length is None else -(-length // width)

    def function(x, w, how=how, which=which, length=length):
      if length is not None:
        x = tag(x, 1, length=length)
      both = BITS[which](x[:, None], w[None])
      return SUMS[how](lax.population_count(both))

    args = shape(2, count, dtype=dtype), shape(3, count, dtype=dtype)
    macs = 2 * 3 * (count * width if length is None else length)
    name = f"{how} of {which}, {dtype}, length {length}"
    yield Program("xnor", name, function, args, {(1, 1): macs})


def programs() -> list[Program]:
  """All of them."""
  return [
    *convolutions(),
    *library_transposed(),
    *einsums(),
    *loops(),
    *words(),
  ]
