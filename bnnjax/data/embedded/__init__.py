"""Paths of the embedded data files; the scripts `make_*` made them."""

import pathlib

_FOLDER = pathlib.Path(__file__).parent

FASHION_MNIST = _FOLDER / "fashion_mnist_mini.npz.xz"
PLAYS = _FOLDER / "plays_mini.txt.xz"
PLAYS_BPE = _FOLDER / "plays_mini.bpe.json"  # of its training split
WORDNET = _FOLDER / "wordnet_mini.tsv.xz"
WORDNET_VOCAB = _FOLDER / "wordnet_mini.vocab.txt"  # of its training split
