"""The 8x8 handwritten digits that come with scikit-learn."""

import numpy as np

from bnnjax.core import registry
from bnnjax.data import sources

# In file order, as in scikit-learn's own example: the writers of the test split
# do not appear in the training split.
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
  # Grey levels 0 .. 16 are spread over the range of a byte.
  images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
  first = SPLITS["train"]
  part = slice(None, first) if split == "train" else slice(first, None)
  return sources.ArraySource(images[part], bunch.target[part], info)
