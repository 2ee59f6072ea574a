"""A float BERT-tiny and its 1-bit students on WordNet's noun glosses.

  bnnjax sweep experiments/wordnet_bert.py

It trains them on all glosses (Debian's `wordnet-base`), three seeds. The runs
do not choose their learning rates on a held-out split yet, so no page reports
them; `wordnet_tfidf.py` is the baseline to beat.
"""

from students import specs

METHODS = ("bibert", "bipft", "rounded_softmax")


def sweep():
  """Config specs, one for each run."""
  config = "configs/wordnet_bert.py"
  return specs(config, "wordnet_bert", METHODS, 3, options="full")
