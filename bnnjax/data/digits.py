"""The 8x8 handwritten digits that travel with scikit-learn."""

import numpy as np

from bnnjax.core import registry
from bnnjax.data import sources

# In file order, as scikit-learn's own example splits them (the writers of the
# last part do not appear in the first).
SPLITS = {"train": 1347, "test": 450}


def _info(split: str) -> sources.DatasetInfo:
  sources.check_split("digits", split, SPLITS)
  return sources.DatasetInfo(
    name="digits",
    shape=(8, 8, 1),
    num_classes=10,
    mean=(0.3058,),
    std=(0.3754,),
    splits=SPLITS,
  )


@registry.register("source", "digits")
@sources.with_info(_info)
def digits(split: str) -> sources.Source:
  """UCI digits, 8x8x1, 10 classes; needs the extra `digits`."""
  info = _info(split)
  try:
    from sklearn import datasets
  except ImportError as error:
    raise ImportError(
      "The data set 'digits' comes with scikit-learn, which is not installed."
      " Get it with `pip install 'bnnjax[digits]'`, or use"
      " 'fashion_mnist_mini', which is inside bnnjax."
    ) from error
  bunch = datasets.load_digits()
  # 16 grey levels and white, 0 .. 16, to the full range of a byte.
  images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
  first = SPLITS["train"]
  part = slice(None, first) if split == "train" else slice(first, None)
  return sources.ArraySource(images[part], bunch.target[part], info)
