"""Images and texts: data sets by name, batches from grain iterators.

  data.info("fashion_mnist_mini").shape  # (28, 28, 1): no example is read
  source = data.load("fashion_mnist_mini", "train")
  batches = data.make_train_iterator(
    source, batch_size=128, seed=0, augment=("pad_crop(2)", "flip")
  )
  batch = next(batches)  # image float32 [B, H, W, C], label int32 [B]
  position = batches.get_state()  # JSON-able; `set_state` resumes there

A text source such as `wordnet_mini` gives `tokens` int32 `[B, T]` instead of
`image`; a source for language modelling, such as `plays_mini`, has no label
(see `windows`). Labels outside the classes and tokens outside the vocabulary
raise an error when a split is opened, or when the record is read (see
`checks`). To add a data set, see `sources`.
Importing this package imports neither grain, tfds, tokenizers nor scikit-learn.
"""

from bnnjax.data import (  # noqa: F401 (each registers its sources)
  digits,
  fake,
  fashion_mnist,
  hf,
  image_folder,
  npz,
  plays,
  text_file,
  tfds_source,
  wordnet,
)
from bnnjax.data.lm_tokenizers import LmTokenizer
from bnnjax.data.loading import (
  defaults_of,
  info,
  load,
  options_of,
  tokenizer_of,
)
from bnnjax.data.pipeline import (
  input_shape,
  make_eval_batches,
  make_train_iterator,
  steps_per_epoch,
)
from bnnjax.data.sources import (
  ArraySource,
  DataNotFoundError,
  DatasetInfo,
  Source,
)

__all__ = [
  "ArraySource",
  "DataNotFoundError",
  "DatasetInfo",
  "LmTokenizer",
  "Source",
  "defaults_of",
  "info",
  "input_shape",
  "load",
  "make_eval_batches",
  "make_train_iterator",
  "options_of",
  "steps_per_epoch",
  "tokenizer_of",
]
