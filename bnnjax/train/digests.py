"""Digests of arrays and of plain JSON: what is stored is checked when read."""

import hashlib
import json
from typing import Any

import jax
import numpy as np

BYTES = 16


def of_json(value: Any) -> str:
  """Digest of plain JSON types, whatever the order of keys."""
  text = json.dumps(value, sort_keys=True)
  return hashlib.blake2b(text.encode(), digest_size=BYTES).hexdigest()


def of_arrays(tree: Any) -> str:
  """Digest of all leaves of a tree: paths, types, shapes, values.

  The same however the arrays lie on devices, all of which this process has to
  see. One leaf at a time is copied to the host.
  """
  found = hashlib.blake2b(digest_size=BYTES)
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  for path, leaf in sorted(
    leaves, key=lambda pair: jax.tree_util.keystr(pair[0])
  ):
    value = np.asarray(leaf)
    name = jax.tree_util.keystr(path)
    found.update(f"{name} {value.dtype.name} {value.shape}\n".encode())
    found.update(np.ascontiguousarray(value).view(np.uint8).data)
  return found.hexdigest()
