"""Batches: exactness, saved position, sharding, errors."""

import itertools
import json
import threading

import grain
import numpy as np
import orbax.checkpoint as ocp
import pytest

from bnnjax import data
from bnnjax.data import pipeline

SIZE, BATCH = 50, 8
EPOCH = SIZE // BATCH
ONE = {"process_index": 0, "process_count": 1}
AUGMENT = ("pad_crop(2)", "flip")


class Counting(data.Source):
  """Example i is a 4x4 image of value i with label i."""

  info = data.DatasetInfo("counting", (4, 4, 1), SIZE, (0.0,), (1.0,), {})

  def __len__(self):
    return SIZE

  def __getitem__(self, index):
    return {"image": np.full((4, 4, 1), index, np.uint8), "label": index}


def train(source=None, **options):
  options = {"batch_size": BATCH, "seed": 0, **ONE, **options}
  return data.make_train_iterator(source or Counting(), **options)


def labels(batches, count):
  return [b["label"].tolist() for b in itertools.islice(batches, count)]


def assert_same(batch, expected):
  assert batch.keys() == expected.keys()
  for key, value in expected.items():
    np.testing.assert_array_equal(batch[key], value)


def test_batches_are_normalised_and_static():
  source = data.load("fake", shape=(6, 5, 3))
  batch = next(train(source, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)))
  assert batch["image"].shape == (BATCH, 6, 5, 3)
  assert batch["image"].dtype == np.float32
  assert batch["image"].flags.c_contiguous
  assert batch["label"].shape == (BATCH,)
  assert batch["label"].dtype == np.int32
  raw = batch["image"] * [0.4, 0.5, 0.6] + [0.1, 0.2, 0.3]
  np.testing.assert_allclose(raw * 255, np.rint(raw * 255), atol=1e-3)
  patterns = {
    s["label"]: s["image"] for s in map(source.__getitem__, range(10))
  }
  assert set(batch["label"].tolist()) <= set(patterns)


def test_images_stay_with_their_labels():
  for batch in itertools.islice(train(), EPOCH):
    np.testing.assert_allclose(
      batch["image"][:, 0, 0, 0] * 255, batch["label"], rtol=1e-5
    )


def test_an_epoch_holds_no_example_twice_and_drops_the_remainder():
  batches = train()
  epochs = [np.ravel(labels(batches, EPOCH)) for _ in range(4)]
  for epoch in epochs:
    assert len(set(epoch)) == EPOCH * BATCH
  assert len({tuple(epoch) for epoch in epochs}) == 4  # reshuffled
  dropped = {frozenset(range(SIZE)) - frozenset(e.tolist()) for e in epochs}
  assert len(dropped) > 1  # not the same examples every time


def test_number_of_epochs():
  assert len(list(train(num_epochs=3))) == 3 * EPOCH


def test_deterministic_by_seed():
  expected = list(itertools.islice(train(augment=AUGMENT), 3))
  for batch, other in zip(train(augment=AUGMENT, threads=0), expected):
    assert_same(batch, other)
  assert labels(train(seed=1), 3) != labels(train(), 3)


def test_augmentation_differs_between_epochs():
  source = data.load("fake", size=BATCH)
  batches = train(source, augment="flip")
  by_label = []
  for _ in range(2):
    batch = next(batches)
    by_label.append(batch["image"][np.argsort(batch["label"])])
  assert (by_label[0] != by_label[1]).any()


@pytest.mark.parametrize("taken", [0, 3, EPOCH - 1, EPOCH, EPOCH + 2])
@pytest.mark.parametrize("threads", [0, 2])
def test_saved_position_continues_identically(taken, threads):
  """Also across the end of an epoch, and with batches made ahead."""
  batches = train(augment=AUGMENT, threads=threads)
  for _ in range(taken):
    next(batches)
  state = json.loads(json.dumps(batches.get_state()))
  expected = list(itertools.islice(batches, EPOCH + 2))
  restored = train(augment=AUGMENT, threads=threads)
  next(restored)
  restored.set_state(state)
  for batch in expected:
    assert_same(next(restored), batch)
  batches.set_state(state)  # back in the same iterator
  assert_same(next(batches), expected[0])


@pytest.mark.parametrize("threads", [0, 1, 4])
@pytest.mark.parametrize(("index", "count"), [(0, 1), (1, 2)])
def test_a_position_is_the_number_of_steps(threads, index, count):
  """Of every process the same, across epochs: another number goes on from it."""
  batches = train(threads=threads, process_index=index, process_count=count)
  for steps in range(EPOCH + 3):
    assert batches.get_state() == {"next_index": steps}
    next(batches)
  batches.close()


def test_saved_position_goes_through_orbax(tmp_path):
  batches = train(augment=AUGMENT)
  for _ in range(EPOCH + 1):
    next(batches)
  with ocp.CheckpointManager(tmp_path) as manager:
    save = grain.checkpoint.CheckpointSave(batches)
    manager.save(7, args=ocp.args.Composite(data=save))
    manager.wait_until_finished()
    expected = next(batches)
    restored = train(augment=AUGMENT)
    restore = grain.checkpoint.CheckpointRestore(restored)
    manager.restore(7, args=ocp.args.Composite(data=restore))
  assert_same(next(restored), expected)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_every_batch(count):
  """Disjoint, and together the batch that one process would have."""
  whole = labels(train(), EPOCH + 1)
  parts = [
    labels(train(process_index=i, process_count=count), EPOCH + 1)
    for i in range(count)
  ]
  for step, batch in enumerate(whole):
    shares = [part[step] for part in parts]
    assert all(len(share) == BATCH // count for share in shares)
    assert sorted(np.concatenate(shares)) == sorted(batch)


def test_processes_augment_differently():
  source = data.load("fake", shape=(4, 4, 1), num_classes=2, size=16)
  same = data.ArraySource(
    np.broadcast_to(source[0]["image"], (16, 4, 4, 1)),
    np.zeros(16),
    source.info,
  )
  parts = [
    next(train(same, augment=AUGMENT, process_index=i, process_count=2))
    for i in range(2)
  ]
  assert (parts[0]["image"] != parts[1]["image"]).any()


@pytest.mark.parametrize("batch_size", [1, 8, 25, 50, 64])
def test_evaluation_sees_every_example_once(batch_size):
  batches = data.make_eval_batches(Counting(), batch_size=batch_size, **ONE)
  assert len(batches) == -(-SIZE // batch_size)
  for _ in range(2):  # as often as one evaluates
    seen = []
    for batch in batches:
      assert batch["image"].shape == (batch_size, 4, 4, 1)
      assert batch["mask"].dtype == np.float32
      seen += batch["label"][batch["mask"] == 1].tolist()
      assert set(batch["mask"]) <= {0, 1}
    assert seen == list(range(SIZE))


@pytest.mark.parametrize("count", [2, 4])
def test_evaluation_of_several_processes(count):
  parts = [
    list(
      data.make_eval_batches(
        Counting(), batch_size=12, process_index=i, process_count=count
      )
    )
    for i in range(count)
  ]
  assert {len(part) for part in parts} == {5}
  seen = [b["label"][b["mask"] == 1] for part in parts for b in part]
  assert sorted(np.concatenate(seen)) == list(range(SIZE))


def test_evaluation_normalises_as_training_does():
  source = data.load("fake", size=BATCH)
  batch = next(train(source))
  (expected,) = data.make_eval_batches(source, batch_size=BATCH, **ONE)
  order = np.lexsort(batch["image"].reshape(BATCH, -1).T)
  other = np.lexsort(expected["image"].reshape(BATCH, -1).T)
  np.testing.assert_array_equal(batch["image"][order], expected["image"][other])


def test_a_pass_that_is_left_leaves_no_thread():
  before = set(threading.enumerate())
  batches = iter(data.make_eval_batches(Counting(), batch_size=4, **ONE))
  next(batches)
  made = set(threading.enumerate()) - before
  assert made
  batches.close()
  for thread in made:
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_input_shape():
  assert data.input_shape(data.load("fake_text", max_len=9)) == (9,)
  source = data.load("fake", shape=(6, 9, 3))
  assert data.input_shape(source) == (6, 9, 3)
  augment = ("resize(12)", "center_crop(10)")
  assert data.input_shape(source, augment) == (10, 10, 3)


class Wrong(Counting):
  def __init__(self, image):
    self.image = image

  def __getitem__(self, index):
    return {"image": self.image, "label": 0}


@pytest.mark.parametrize(
  ("image", "message"),
  [
    (np.zeros((4, 4), np.uint8), r"gives uint8 \(4, 4\)"),
    (np.zeros((4, 4, 1), np.float32), "gives float32"),
    (np.zeros((4, 4, 3), np.uint8), r"\(4, 4, 3\), but says .* \(4, 4, 1\)"),
  ],
)
def test_wrong_images(image, message):
  with pytest.raises(ValueError, match=message):
    train(Wrong(image))
  with pytest.raises(ValueError, match=message):
    data.make_eval_batches(Wrong(image), batch_size=4, **ONE)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"process_count": 3}, "8 must be a positive multiple of the 3 process"),
    ({"process_index": 2, "process_count": 2}, "not in 0 .. 1"),
    ({"batch_size": 0}, "positive multiple"),
    ({"batch_size": 64}, "larger than the 50 examples of 'counting'"),
    ({"augment": "flop"}, "Did you mean 'flip'"),
    ({"mean": (0.1, 0.2)}, r"`mean` has 2 values.*1 channel\(s\)"),
    ({"std": (0.0,)}, "`std` must be positive"),
  ],
)
def test_bad_arguments(options, message):
  with pytest.raises(ValueError, match=message):
    train(**options)


def test_steps_per_epoch():
  assert pipeline.steps_per_epoch(Counting(), 8) == 6


class CountingText(data.Source):
  """Example i is six tokens i with label i."""

  info = data.DatasetInfo("counting", (6,), SIZE, vocab=SIZE)

  def __init__(self, tokens=None):
    self.tokens = tokens

  def __len__(self):
    return SIZE

  def __getitem__(self, index):
    tokens = np.full(6, index, np.int32)
    return {
      "tokens": tokens if self.tokens is None else self.tokens,
      "label": index,
    }


def test_texts_are_batched_as_images_are():
  """Same order, same epochs; tokens stay with their labels."""
  batches, images = train(CountingText()), train()
  for batch in itertools.islice(batches, 2 * EPOCH):
    assert set(batch) == {"tokens", "label"}
    assert batch["tokens"].shape == (BATCH, 6)
    assert batch["tokens"].dtype == batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["tokens"][:, 5], batch["label"])
    np.testing.assert_array_equal(batch["label"], next(images)["label"])


def test_saved_position_of_texts_continues_identically():
  batches = train(CountingText())
  list(itertools.islice(batches, EPOCH + 2))
  state = json.loads(json.dumps(batches.get_state()))
  expected = next(batches)
  restored = train(CountingText())
  restored.set_state(state)
  assert_same(next(restored), expected)


def test_evaluation_sees_every_text_once():
  seen = []
  for batch in data.make_eval_batches(CountingText(), batch_size=12, **ONE):
    assert batch["tokens"].shape == (12, 6)
    assert batch["tokens"].dtype == np.int32
    seen += batch["tokens"][batch["mask"] == 1, 0].tolist()
  assert seen == list(range(SIZE))


@pytest.mark.parametrize(
  ("tokens", "message"),
  [
    (np.zeros(6), r"Tokens must be int32 \(tokens\): .* gives float64 \(6,\)"),
    (np.zeros((6, 1), np.int32), r"gives int32 \(6, 1\)"),
    (
      np.zeros(5, np.int32),
      r"gives tokens of shape \(5,\), but says .* \(6,\)",
    ),
    (np.full(6, SIZE, np.int32), "tokens 50 .. 50, but .* 50 entries, from 0"),
    (np.full(6, -1, np.int32), "gives tokens -1 .. -1"),
  ],
)
def test_wrong_tokens(tokens, message):
  with pytest.raises(ValueError, match=message):
    train(CountingText(tokens))
  with pytest.raises(ValueError, match=message):
    data.make_eval_batches(CountingText(tokens), batch_size=4, **ONE)


def test_texts_take_no_augmentation():
  with pytest.raises(ValueError, match=r"'counting' holds text: .*Flip"):
    train(CountingText(), augment="flip")


def test_an_evaluation_that_draws_warns():
  source = data.load("fake", shape=(4, 4, 1), size=8)
  with pytest.warns(
    UserWarning, match="evaluation of 'fake' .*draws at random"
  ):
    data.make_eval_batches(source, batch_size=4, augment="flip", **ONE)
  # What draws nothing is silent: warnings are errors here.
  data.make_eval_batches(source, batch_size=4, augment="center_crop(2)", **ONE)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_of_32_bits(seed):
  source = data.load("fake", shape=(4, 4, 1), size=8)
  with pytest.raises(ValueError, match="`seed` must be in"):
    data.make_train_iterator(source, batch_size=4, seed=seed, **ONE)
