"""Images: sources by name, and grain iterators with a saved position.

  source = data.load("fashion_mnist_mini", "train")
  batches = data.make_train_iterator(
    source, batch_size=128, seed=0, augment=("pad_crop(2)", "flip")
  )
  batch = next(batches)  # image float32 [B, H, W, C], label int32 [B]
  position = batches.get_state()  # JSON-able; `set_state` continues there

Importing this package imports neither grain, tfds nor scikit-learn.
"""

from bnnjax.data import (  # noqa: F401 (each registers its sources)
  digits,
  fake,
  fashion_mnist,
  tfds_source,
)
from bnnjax.data.pipeline import (
  image_shape,
  make_eval_batches,
  make_train_iterator,
  steps_per_epoch,
)
from bnnjax.data.sources import (
  ArraySource,
  DataNotFoundError,
  DatasetInfo,
  Source,
  load,
)

__all__ = [
  "ArraySource",
  "DataNotFoundError",
  "DatasetInfo",
  "Source",
  "image_shape",
  "load",
  "make_eval_batches",
  "make_train_iterator",
  "steps_per_epoch",
]
