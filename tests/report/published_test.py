"""The lines of published figures, and which of them have been checked."""

from bnnjax.report import published


def test_reading(tmp_path):
  path = tmp_path / "published.csv"
  path.write_text(
    'model,value,notes\nnet,"1,5",\nother,2,UNVERIFIED (recalled)\n'
  )
  first, second = published.read(path)
  assert (first.line, first.row["value"], first.verified) == (2, "1,5", True)
  assert (second.line, second.row["model"], second.verified) == (
    3,
    "other",
    False,
  )


def test_every_figure_names_its_source_and_its_unit():
  rows = published.read()
  assert len(rows) > 600
  for p in rows:
    assert p.row["model"], p.line
    assert p.row["source"], p.line
    assert not p.row["value"] or p.row["metric"], p.line
    assert not p.row["cost_value"] or p.row["cost_metric"], p.line


HEADER = (
  "model,family,variant,dataset,metric,value,cost_metric,cost_value,cost_unit,"
  "source,table,notes\n"
)


def test_accuracies_whose_ace_is_known(tmp_path):
  path = tmp_path / "published.csv"
  lines = [
    "A,a,,ImageNet-1k,top1,70.5,ACE,2.5,1e9,paper A,abstract,",
    "B,b,,ImageNet-1k,top1,60,BOPs,2,1e9,paper B,Table 1,",
    "B,b,,ImageNet-1k,top1,60,FLOPs,0.5,1e8,paper B,Table 1,",
    "B,b,,ImageNet-1k,top1,60,OPs,0.81,1e8,paper B,Table 1,",
    # 2e9 / 64 + 5e7 = 8.125e7, not 1.63e8.
    "C,c,,ImageNet-1k,top1,61,BOPs,2,1e9,paper C,,",
    "C,c,,ImageNet-1k,top1,61,FLOPs,0.5,1e8,paper C,,",
    "C,c,,ImageNet-1k,top1,61,OPs,1.63,1e8,paper C,,",
    "D,d,1x,ImageNet-1k,top1,62,,,,listing,,",
    "D,d,1x,ImageNet-1k,,,ACE,3,1e9,code,,not a published figure",
    "D,d,2x,ImageNet-1k,top1,63,,,,listing,,UNVERIFIED",
    "D,d,2x,ImageNet-1k,,,ACE,4,1e9,code,,",
    "E,e,,CIFAR-10,top1,90,ACE,1,1e9,paper E,,",
    "F,f,,ImageNet-1k,top1,64,BOPs (MAC*w*a),1,1e9,paper F,,",
  ]
  path.write_text(HEADER + "\n".join(lines) + "\n")
  found = published.top1_against_ace(path)
  assert [(p.model, p.top1, p.ace, p.origin, p.lines) for p in found] == [
    ("A", 70.5, 2.5e9, published.PRINTED, (2,)),
    ("D 1x", 62.0, 3e9, published.COUNTED, (9, 10)),
    ("B", 60.0, 2e9 + 256 * 5e7, published.FROM_MACS, (3, 4)),
  ]
  assert found[1].source == "listing ; code"
  assert found[2].source == "paper B, Table 1"


def test_the_published_points_of_the_file():
  found = {p.model: p for p in published.top1_against_ace()}
  # 4,091,469,824 of the convolutions and 131,072,000 of the dense layer.
  assert found["PokeBNN-1.0x"].ace == 4_091_469_824 + 131_072_000
  assert found["PokeBNN-1.0x"].origin == published.PRINTED
  assert found["PokeBNN-0.5x"].origin == published.COUNTED
  # 1-bit MACs and float MACs of Larq's list.
  assert found["QuickNet"].ace == 1_849_688_064 + 256 * 28_861_440
  assert "PokeBNN-2.0x" not in found  # its accuracy is unverified
  assert "ReActNet-B" not in found  # its own figures contradict each other
  assert all(p.source and p.lines for p in found.values())
