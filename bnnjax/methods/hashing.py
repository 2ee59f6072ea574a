"""Supervised hashing with kernels (KSH): hyperplanes whose signs are codes.

Supervised Hashing with Kernels, Liu et al., CVPR 2012, as in the code of
EcoFormer (arXiv:2209.09004): one hash per head, with the similarity of the
tokens themselves. Pure functions in float32.
"""

import jax
import jax.numpy as jnp
import optax

from bnnjax.core.numerics import sign


def unit(x: jax.Array) -> jax.Array:
  """`x / ||x||_2` over the last axis, float32; zeros stay zeros."""
  x = x.astype(jnp.float32)
  # float32 does not hold the third power of a norm, which its derivative has.
  largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
  x = x / jnp.where(largest > 0, largest, 1)
  square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
  return x * jax.lax.rsqrt(jnp.where(square > 0, square, 1))


def kernel(
  u: jax.Array, anchors: jax.Array, mean: jax.Array | float = 0.0
) -> jax.Array:
  """`exp(-d2 / (2 sigma)) - mean` with `d2 = ||u - anchor||^2`.

  `sigma` is the mean of `d2` over tokens and anchors, per sample and head. It
  is computed from this tensor, at test time too, and is differentiated.

  Args:
    u: `[B, T, H, D]`, unit vectors in EcoFormer.
    anchors: `[H, m, D]`.
    mean: mean of the kernel over a batch, `[H, m]`.

  Returns:
    `[B, T, H, m]`.
  """
  squares = jnp.sum(jnp.square(u), -1)[..., None] + jnp.sum(anchors**2, -1)
  d2 = squares - 2 * jnp.einsum("bthd,hmd->bthm", u, anchors)
  sigma = jnp.mean(d2, axis=(1, 3), keepdims=True)
  # If all tokens are equal, d2 is a rounding error and may be negative.
  sigma = jnp.maximum(sigma, jnp.finfo(jnp.float32).eps)
  return jnp.exp(-d2 / (2 * sigma)) - mean


def project(
  u: jax.Array, planes: jax.Array, anchors: jax.Array, mean: jax.Array
) -> jax.Array:
  """`K A^T`, whose signs are the codes; `K` is `kernel(u, anchors, mean)`.

  Args:
    u: `[B, T, H, D]`, unit vectors in EcoFormer.
    planes: `A`, `[H, bits, m]`; like anchors and mean, without gradient.
    anchors: `[H, m, D]`.
    mean: `[H, m]`.

  Returns:
    `[B, T, H, bits]`.
  """
  planes, anchors, mean = jax.lax.stop_gradient((planes, anchors, mean))
  return jnp.einsum("bthm,hcm->bthc", kernel(u, anchors, mean), planes)


def similarity(u: jax.Array, top_k: int) -> jax.Array:
  """+1 at the `top_k` nearest tokens, -1 at the `top_k` farthest, else 0.

  Args:
    u: unit vectors `[B, T, H, D]`.
    top_k: number of tokens of each kind in a row; -1 wins where both meet.

  Returns:
    `[B, H, T, T]`, not always symmetric.
  """
  gram = jnp.einsum("bthd,buhd->bhtu", u, u)
  s = jnp.zeros_like(gram)
  for closeness, value in ((gram, 1.0), (-gram, -1.0)):
    at = jax.lax.top_k(closeness, top_k)[1]
    s = jnp.put_along_axis(s, at, value, axis=-1, inplace=False)
  return s


def loss(y: jax.Array, s: jax.Array, bits: int) -> jax.Array:
  """`-y^T S y / (T bits)`, the mean over samples and heads; y `[B, T, H]`."""
  return -jnp.einsum("bth,bhtu,buh->", y, s, y) / (y.size * bits)


def learn(
  k: jax.Array,
  s: jax.Array,
  start: jax.Array,
  *,
  lr: float,
  momentum: float,
  iterations: int,
) -> jax.Array:
  """Hyperplanes `A` whose codes agree with a similarity.

  Minimizes `||Y Y^T - bits S||^2` over `Y = sign(K A^T)`, bit after bit. For
  each bit, SGD with Nesterov momentum minimizes `loss` of
  `y = 2 / (1 + exp(-K a)) - 1`. The new plane is kept if its signs (sign(0) =
  -1) lower the loss over all samples and heads together. The next bits fit the
  rest: `S <- S - y y^T`, starting from `bits S`.

  Args:
    k: `kernel` of the tokens `[B, T, H, m]`.
    s: `similarity` of the tokens `[B, H, T, T]`.
    start: `[H, bits, m]`.
    lr, momentum, iterations: descent of a bit.

  Returns:
    `[H, bits, m]`.
  """
  bits = start.shape[1]
  # The first buffer is the gradient and steps are `g + momentum buffer`, as in
  # torch.
  optimizer = optax.sgd(lr, momentum=momentum, nesterov=True)

  def project(a):
    return jnp.einsum("bthm,hm->bth", k, a)

  def bit(s, old):
    slope = jax.grad(lambda a: loss(jnp.tanh(project(a) / 2), s, bits))

    def step(_, carry):
      a, state = carry
      updates, state = optimizer.update(slope(a), state)
      return optax.apply_updates(a, updates), state

    first = (old, optimizer.init(old))
    new, _ = jax.lax.fori_loop(0, iterations, step, first)
    y_new, y_old = sign(project(new), -1), sign(project(old), -1)
    better = loss(y_new, s, bits) < loss(y_old, s, bits)
    y = jnp.where(better, y_new, y_old)
    s = s - jnp.einsum("bth,buh->bhtu", y, y)
    return s, jnp.where(better, new, old)

  _, rows = jax.lax.scan(bit, bits * s, jnp.moveaxis(start, 1, 0))
  return jnp.moveaxis(rows, 0, 1)
