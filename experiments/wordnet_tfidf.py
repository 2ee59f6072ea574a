"""How far does a bag of words get on the WordNet glosses?

  python experiments/wordnet_tfidf.py

The baseline that a network has to beat: TF-IDF of words and word pairs, and a
linear support vector machine, on the splits of `wordnet_mini` and, if it is
installed, `wordnet`. Needs the extra `digits` (scikit-learn). Appends one
record for each data set to results/text/wordnet_tfidf.jsonl.
"""

import importlib.metadata
import pathlib
import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from bnnjax.data import DataNotFoundError, wordnet
from bnnjax.report import record as record_lib

RECORD = (
  pathlib.Path(__file__).parent / "results" / "text" / "wordnet_tfidf.jsonl"
)
TFIDF = {"ngram_range": (1, 2), "min_df": 2, "sublinear_tf": True}
SVM = {"C": 1.0, "random_state": 0}


def measure(train, test) -> dict[str, float]:
  """Test accuracy of the baseline and of the most frequent training class."""
  model = make_pipeline(TfidfVectorizer(**TFIDF), LinearSVC(**SVM))
  labels, texts = zip(*train)
  model.fit(texts, labels)
  wanted, texts = (np.array(column) for column in zip(*test))
  return {
    "accuracy": float((model.predict(texts) == wanted).mean()),
    "majority": float((wanted == np.bincount(labels).argmax()).mean()),
  }


def main() -> None:
  for name, read in (
    ("wordnet_mini", wordnet.mini),
    ("wordnet", wordnet.full),
  ):
    try:
      glosses = read()
    except DataNotFoundError as error:
      print(error)
      continue
    began = time.monotonic()
    metrics = measure(glosses["train"], glosses["test"])
    record = record_lib.Record(
      name=f"wordnet_tfidf-{name}",
      config={
        "data": {"name": name},
        "tfidf": TFIDF,
        "svm": SVM,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
      },
      seed=SVM["random_state"],
      metrics=metrics,
      cost={},
      wall_seconds=time.monotonic() - began,
    )
    record_lib.append(RECORD, record.to_json())
    print(
      f"{name}: test accuracy {metrics['accuracy']:.4f}, of the largest class"
      f" {metrics['majority']:.4f}, {record.wall_seconds:.0f} s"
    )


if __name__ == "__main__":
  main()
