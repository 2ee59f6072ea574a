"""The text that the disturbed runs learn."""

import random

# Letters with and without accents, so that normal forms differ.
ALPHABET = "abcdefghijklmnoprstuvyàéöABEHT"
VOCAB = len(ALPHABET) + 5  # and space, line end, comma, full stop, unknown


def corpus(characters: int = 5000) -> str:
  """Made-up sentences; every character of the vocabulary is among them."""
  chance = random.Random(0)
  words = ["".join(chance.choices(ALPHABET, k=chance.randint(1, 8)))]
  words += [ALPHABET[i : i + 5] for i in range(0, len(ALPHABET), 5)]
  while len(words) < 300:
    words.append("".join(chance.choices(ALPHABET, k=chance.randint(1, 8))))
  text = " ".join(words[: len(ALPHABET)]) + ".\n"
  while len(text) < characters:
    line = " ".join(chance.choices(words, k=8))
    text += f"{line}{chance.choice(', .')} {chance.choice(words)}.\n"
  return text
