"""Makes `wordnet_mini.tsv.xz` and its vocabulary from the full WordNet.

  apt-get install wordnet-base
  python -m bnnjax.data.embedded.make_wordnet_mini [folder of the full set]

It keeps 600 training and 60 test glosses of each class, or all if there are
fewer: the first ones by another word of the hash than that of the splits and
the order, so that a part such as `train[:90%]` is nearly balanced too. Format:
xz of lines `label<tab>gloss`.
"""

import collections
import lzma
import pathlib
import sys

from bnnjax.data import digest, embedded, wordnet, wordpiece

PER_CLASS = {"train": 600, "test": 60}
VOCAB = 4096


def select(folder: pathlib.Path) -> dict[str, tuple[wordnet.Gloss, ...]]:
  """The small set's glosses by split."""
  chosen = {}
  for split, glosses in wordnet.full(folder).items():
    taken, kept = collections.Counter(), []
    for gloss in sorted(glosses, key=lambda g: digest.hash_of(g.text, word=1)):
      taken[gloss.label] += 1
      if taken[gloss.label] <= PER_CLASS[split]:
        kept.append(gloss)
    chosen[split] = wordnet.by_split(kept)[split]
  return chosen


def pack(glosses: dict[str, tuple[wordnet.Gloss, ...]]) -> bytes:
  """The bytes of the file; the same on every machine with the same liblzma."""
  lines = [f"{g.label}\t{g.text}\n" for part in glosses.values() for g in part]
  preset = 9 | lzma.PRESET_EXTREME
  return lzma.compress("".join(lines).encode(), preset=preset)


def main(argv: list[str]) -> None:
  folder = pathlib.Path(argv[1]) if argv[1:] else wordnet.DEBIAN_FOLDER
  glosses = select(folder)
  embedded.WORDNET.write_bytes(pack(glosses))
  entries = wordpiece.train([g.text for g in glosses["train"]], VOCAB)
  embedded.WORDNET_VOCAB.write_text("\n".join(entries) + "\n", encoding="utf-8")
  for path in (embedded.WORDNET, embedded.WORDNET_VOCAB):
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
  main(sys.argv)
