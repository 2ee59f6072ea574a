"""Published families of tokenizers: tokens and text are the library's.

Each has its published normalizer, pre-tokenizer and decoder, and a vocabulary
that is trained here.
"""

import json
import random
import unicodedata
import warnings

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from bnnjax import data
from bnnjax.data import lm_tokenizers, tokenizer_json, wordpiece

SEED, TEXTS = 0, 1000
CORPUS = (
  "The naïve café isn't open; we've 12345 reasons, THEY'LL say.\n\n"
  "if a:\n    b = [1, 2]\n\n\treturn HTTPServer/x//y\r\n"
  "Über den Wolken, größer — élève, señor; ελληνικά και σίγμα ς.\n"
  "日本語の文章、中文字符。 한국어 문장 हिन्दी में नमस्ते عربي שלום\n"
  "👩‍👩‍👧 🇩🇪 ½ ① Ⅻ … “quotes” 'single' don't DON'T\n"
) * 4
CL100K = (
  r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
  r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_ENDING = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
O200K = (
  r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
  rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]+{_ENDING}"
  r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
  rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{_ENDING}\p{{N}}{{1,3}}|"
  r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
END = "<|endoftext|>"


def trained(made, trainer):
  made.train_from_iterator(CORPUS.splitlines(keepends=True), trainer)
  return made


def byte_level(pattern=None, normalizer=None, added=(), **options):
  made = tokenizers.Tokenizer(models.BPE(**options))
  level = pre_tokenizers.ByteLevel(
    add_prefix_space=False, use_regex=pattern is None
  )
  made.pre_tokenizer = level
  if pattern:
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, level])
  made.decoder = decoders.ByteLevel()
  if normalizer:
    made.normalizer = normalizer
  made.post_processor = processors.ByteLevel(trim_offsets=True)
  trained(
    made,
    tokenizers.trainers.BpeTrainer(
      vocab_size=500, initial_alphabet=level.alphabet(), show_progress=False
    ),
  )
  made.add_special_tokens([END])
  made.add_tokens(list(added))
  return made


def begun(made, begin):
  """With a post-processor that begins a text, as of LLaMA-2 and 3."""
  made.add_special_tokens([begin])
  made.post_processor = processors.TemplateProcessing(
    single=f"{begin} $A", special_tokens=[(begin, made.token_to_id(begin))]
  )
  return made


def neox():
  runs = [tokenizers.AddedToken(" " * n, normalized=True) for n in (24, 4, 2)]
  return byte_level(None, normalizers.NFC(), ["<|padding|>", *runs])


def metaspace(modern=False):
  """LLaMA-2's, as it was published and (modern) as it is written now."""
  made = tokenizers.Tokenizer(
    models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
  )
  made.pre_tokenizer = pre_tokenizers.Metaspace()
  special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=500,
    special_tokens=special,
    limit_alphabet=60,
    show_progress=False,
  )
  # The bytes are entries of the model, no added tokens.
  spec = json.loads(trained(made, trainer).to_str())
  spec["added_tokens"] = spec["added_tokens"][:3]
  spec["pre_tokenizer"] = None
  made = tokenizers.Tokenizer.from_str(json.dumps(spec))
  if modern:
    made.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first", split=False)
  else:
    made.normalizer = normalizers.Sequence(
      [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
  made.decoder = decoders.Sequence(
    [
      decoders.Replace("▁", " "),
      decoders.ByteFallback(),
      decoders.Fuse(),
      decoders.Strip(" ", 1, 0),
    ]
  )
  return begun(made, "<s>")


def unigram():
  """T5's and XLM-R's."""
  made = tokenizers.Tokenizer(models.Unigram())
  made.normalizer = normalizers.NFKC()
  made.pre_tokenizer = pre_tokenizers.Metaspace()
  made.decoder = decoders.Metaspace()
  trainer = tokenizers.trainers.UnigramTrainer(
    vocab_size=300,
    special_tokens=["<unk>", END],
    unk_token="<unk>",
    show_progress=False,
  )
  return trained(made, trainer)


def word_piece(lowercase):
  made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
  made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
  made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
  made.decoder = decoders.WordPiece()
  trainer = tokenizers.trainers.WordPieceTrainer(
    vocab_size=500,
    special_tokens=list(wordpiece.SPECIAL),
    show_progress=False,
  )
  trained(made, trainer)
  made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
  return made


FAMILIES = {
  "gpt2": byte_level,
  "neox": neox,
  "cl100k": lambda: byte_level(CL100K, added=["<|fim_prefix|>"]),
  "o200k": lambda: byte_level(O200K),
  "llama3": lambda: begun(
    byte_level(CL100K, ignore_merges=True), "<|begin_of_text|>"
  ),
  "llama2": metaspace,
  "llama2_modern": lambda: metaspace(modern=True),
  "unigram": unigram,
  "bert_cased": lambda: word_piece(False),
  "bert_uncased": lambda: word_piece(True),
}
LOSSLESS = {"gpt2", "cl100k", "o200k", "llama3"}
# What each published file writes between and around words.
BITS = (
  *CORPUS.split(" ")[:60],
  *(" ", "  ", "    ", "\t", "\n", "\n\n", "\r", "\r\n", " \n", "/", "!\n/"),
  *("\u0301", "e\u0301", "\u200d", "\u200b", "\ufeff", "\u2028", "\x85", "\xa0"),
  *("각", "ﬁ", "Ａ", "▁", "Ġ", "##", "\x00", "\ufffd", "İ", "ß"),
  *(END, "<|begin_of_text|>", "<|padding|>", "<|fim_prefix|>", "[MASK]"),
  *("<s>", "<unk>", "<0xC3>", "</s>", "[CLS]", "[UNK]", "👩‍👩‍👧", "n't .", "1234"),
)  # fmt: skip


def random_texts(rng, count):
  texts = ["", " ", "\n", "\r", "a" * 3000, "x y " * 700, "1" * 999 + "\n/"]
  while len(texts) < count:
    bits = rng.choices(BITS, k=rng.randrange(14))
    codes = [rng.randrange(0x20, 0x3000) for _ in range(rng.randrange(5))]
    codes += [rng.randrange(0xE000, 0x20000) for _ in range(rng.randrange(3))]
    bits += map(chr, codes)
    rng.shuffle(bits)
    form = rng.choice([None, "NFC", "NFD"])
    text = rng.choice(["", " "]).join(bits)
    texts.append(unicodedata.normalize(form, text) if form else text)
  return texts


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
  made = FAMILIES[request.param]()
  path = tmp_path_factory.mktemp(request.param) / "tokenizer.json"
  made.save(str(path))
  # Of the file: what is written and read again may break ties otherwise.
  made = tokenizers.Tokenizer.from_file(str(path))
  ours = lm_tokenizers.make_tokenizer("bpe", vocab_file=str(path))
  return request.param, made, ours


def streamed(stream, ids):
  return "".join(map(stream.push, ids)) + stream.end()


def test_tokens_and_streamed_text_are_the_librarys(family):
  name, made, ours = family
  rng = random.Random(SEED)
  texts = random_texts(rng, TEXTS)
  theirs = made.encode_batch_fast(texts, add_special_tokens=False)
  for text, encoded in zip(texts, theirs):
    ids = encoded.ids
    np.testing.assert_array_equal(ours.encode(text), ids, repr(text))
    same, chars = ours.align(text)
    np.testing.assert_array_equal(same, ids)
    assert (chars >= 0).all()
    assert chars.sum() == (len(text) if ids else 0)
    decoded = made.decode(ids, skip_special_tokens=False)
    assert ours.decode(ids) == decoded
    assert streamed(ours.stream(), ids) == decoded
    if name in LOSSLESS:
      assert decoded == text
  assert ours.lossless == (name in LOSSLESS)
  assert len(ours) == made.get_vocab_size()


def test_any_tokens_stream_as_they_decode(family):
  """An untrained model draws bytes of no character, a prompt ends anywhere."""
  _, made, ours = family
  rng = random.Random(SEED)
  late = [made.token_to_id(f"<0x{byte:02X}>") for byte in (0xC3, 0xA9, 0x41)]
  late = [id for id in late if id is not None]
  for _ in range(200):
    ids = rng.choices([*range(len(ours)), *(20 * late)], k=rng.randrange(40))
    decoded = made.decode(ids, skip_special_tokens=False)
    assert streamed(ours.stream(), ids) == decoded
    prompt = ours.encode("The cat").tolist()
    whole = made.decode(prompt + ids, skip_special_tokens=False)
    begun = made.decode(prompt, skip_special_tokens=False)
    assert begun + streamed(ours.stream(prompt), ids) == whole


def test_text_comes_with_its_token(family):
  """No text waits, but for bytes that may go on."""
  _, made, ours = family
  ids = made.encode("The cafe open; we say", add_special_tokens=False).ids
  stream = ours.stream()
  late = [made.id_to_token(token).startswith("<0x") for token in ids]
  assert all(stream.push(token) or wait for token, wait in zip(ids, late))


def test_long_texts_are_encoded_whole(family, monkeypatch):
  """In parts where the published words end, and only there."""
  name, made, ours = family
  monkeypatch.setattr(tokenizer_json, "PART", 20)
  monkeypatch.setattr(lm_tokenizers, "AT_ONCE", 3)
  rng = random.Random(SEED)
  known = name in LOSSLESS | {"neox"}
  spec = json.loads(made.to_str())
  assert tokenizer_json.has_word_line_ends(spec) == known
  parts = 0
  for text in random_texts(rng, 100):
    text += "".join(
      rng.choices(["word!\n/x\n", "a\nb", " \n c\n", "é.\n"], k=30)
    )
    parts += len(list(tokenizer_json.in_parts(text)))
    theirs = made.encode(text, add_special_tokens=False).ids
    np.testing.assert_array_equal(ours.encode(text), theirs)
    ids, chars = ours.align(text)
    np.testing.assert_array_equal(ids, theirs)
    assert chars.sum() == len(text)
  assert parts > 300  # the test cuts


def test_windows_divide_by_the_characters_of_the_file(family, tmp_path):
  """Decomposed and upper-case text, which some families make shorter."""
  _, made, ours = family
  text = unicodedata.normalize("NFD", CORPUS)
  path = tmp_path / "text"
  path.write_bytes(text.encode())
  vocab = tmp_path / "tokenizer.json"
  vocab.write_text(made.to_str(), encoding="utf-8")
  options = {"path": str(path), "max_len": 16, "tokenizer": "bpe"}
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # BERT's small vocabulary lacks marks
    source = data.load("text_file", "train", vocab_file=str(vocab), **options)
  batch = source.read(np.arange(len(source)))
  text = text[: round(0.9 * len(text))]
  first = ours.align(text)[1][0]
  assert (batch["chars"] * batch["scored"]).sum() == len(text) - first


@pytest.mark.parametrize("family", sorted(LOSSLESS), indirect=True)
def test_characters_of_offsets_are_those_of_bytes(family, monkeypatch):
  """Two ways to count: at the last byte, and where the next token begins."""
  _, _, ours = family
  texts = random_texts(random.Random(SEED), 200)
  by_bytes = [ours.align(text) for text in texts]
  monkeypatch.setattr(ours, "lossless", False)
  for text, (ids, chars) in zip(texts, by_bytes):
    np.testing.assert_array_equal(ours.align(text)[0], ids)
    np.testing.assert_array_equal(ours.align(text)[1], chars, repr(text))
