import pytest

from bnnjax import data


@pytest.mark.parametrize(
  ("name", "options", "message"),
  [
    ("fake", {"size": "64"}, "Option 'size' of source 'fake' must be a int"),
    ("fake", {"size": 64.0}, "'size' .* got 64.0"),
    ("fake", {"num_classes": True}, "'num_classes' .* got True"),
    ("fake", {"shape": 4}, "'shape' .* must be a tuple, got 4"),
    ("text_file", {"test_share": "0.1"}, "'test_share' .* must be a float"),
    ("plays_mini", {"tokenizer": None}, "'tokenizer' .* must be a str"),
    ("tfds:mnist", {"dataset": "cifar10"}, "leave out the option `dataset`"),
  ],
)
def test_options_of_another_type(name, options, message):
  with pytest.raises(ValueError, match=message):
    data.load(name, **options)


def test_a_list_may_stand_for_a_tuple_and_an_int_for_a_float():
  source = data.load("fake", shape=[4, 4, 1], size=3)
  assert source.info.shape == (4, 4, 1)
  with pytest.raises(ValueError, match=r"must be in \(0, 1\): got 1"):
    data.load("text_file", test_share=1)
