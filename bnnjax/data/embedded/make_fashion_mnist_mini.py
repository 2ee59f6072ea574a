"""Makes `fashion_mnist_mini.npz.xz` from the full Fashion-MNIST.

  apt-get install dataset-fashion-mnist
  python -m bnnjax.data.embedded.make_fashion_mnist_mini [folder of the full
  set]

It keeps the first 1,000 training images and the first 200 test images of each
class, in the order of the original files. That order is not sorted by class, so
that a part such as `train[:90%]` is nearly balanced too.

Format: xz of an uncompressed npz with images stored by columns, 4.3 MB.
Alternatives for these 12,000 images: xz of rows 4.5 MB, PNG 4.9, lossless WebP
4.7, xz or bz2 after a left, up, average or LOCO-I predictor 4.6 to 5.2.
"""

import io
import lzma
import pathlib
import sys

import numpy as np

from bnnjax.data import fashion_mnist

PER_CLASS = {"train": 1000, "test": 200}


def select(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """The small set's arrays: `<split>_images` `[N, H, W]`, `<split>_labels`."""
  arrays = {}
  for split, count in PER_CLASS.items():
    images, labels = fashion_mnist.read_idx(folder, split)
    chosen = [np.flatnonzero(labels == c)[:count] for c in range(10)]
    chosen = np.sort(np.concatenate(chosen))
    arrays[f"{split}_images"] = images[chosen]
    arrays[f"{split}_labels"] = labels[chosen]
  return arrays


def pack(arrays: dict[str, np.ndarray]) -> bytes:
  """The bytes of the file; the same on every machine with the same liblzma."""
  stored = {
    key: value.transpose(0, 2, 1) if value.ndim == 3 else value
    for key, value in arrays.items()
  }
  buffer = io.BytesIO()
  np.savez(buffer, **{k: np.ascontiguousarray(v) for k, v in stored.items()})
  filters = [
    {
      "id": lzma.FILTER_LZMA2,
      "preset": 9 | lzma.PRESET_EXTREME,
      "pb": 0,  # bytes, not words
    }
  ]
  return lzma.compress(buffer.getvalue(), filters=filters)


def main(argv: list[str]) -> None:
  folder = pathlib.Path(argv[1]) if argv[1:] else fashion_mnist.DEBIAN_FOLDER
  fashion_mnist.MINI_FILE.write_bytes(pack(select(folder)))
  size = fashion_mnist.MINI_FILE.stat().st_size
  print(f"{fashion_mnist.MINI_FILE}: {size:,} bytes")


if __name__ == "__main__":
  main(sys.argv)
