"""Command lines to mutate, how, and the files that they name."""

import random

from bnnjax import arguments
from bnnjax.commands import COMMANDS
from bnnjax.train import config_fields

CONFIG = '''"""A tiny network; `:width=8`, `:float`."""
from bnnjax import config as config_lib

def get_config(arg=""):
  arg = config_lib.parse_arg(arg, width=8, float=False, name="x")
  config = config_lib.base()
  config.data.update(shape=(4, 4, 1), num_classes=3)
  config_lib.make_smoke(config)
  config.data.augment = ()
  config.steps = 1
  config.model = {"name": "mlp", "hidden": (arg.width, arg.width)}
  config.model.weight = None if arg.float else "ste"
  config.model.act = None
  return config.lock()
'''
TEXT = '''"""A tiny language model."""
from bnnjax import config as config_lib

def get_config(arg=""):
  config_lib.parse_arg(arg)
  config = config_lib.base()
  config.data.update(shape=(16,), vocab=16)
  config_lib.make_smoke(config)
  config.data.options.size = 400
  config.steps = 1
  config.model = {"name": "decoder", "features": 8, "blocks": 1, "heads": 2}
  config.task = {"name": "language_modeling"}
  return config.lock()
'''
FILES = {
  "tiny.py": CONFIG,
  "text.py": TEXT,
  "experiment.py": "def sweep():\n  yield 'tiny.py'\n  yield 'tiny.py:float'\n",
  "load.py": "from bnnjax.core.method import method\nX = 1\n",
  "broken.py": "def get_config(arg):\n  return {}[arg]\n",
  "syntax.py": "def get_config(:\n",
  "exits.py": "import sys\nsys.exit(3)\n",
  "none.py": "get_config = 3\n",
  "page.md": "a\n<!-- results: r.jsonl -->\n<!-- /results -->\nb\n",
  "plain.md": "nothing\n",
  "r.jsonl": "",
}
SEEDS = (
  "train --config=tiny.py --workdir=w",
  "train --config=tiny.py:width=4,float --workdir=w --config.optim.lr=1e-2",
  "train --config=tiny.py --config.model.act=ste --config.steps=1 --workdir=w",
  "train --config=tiny.py:float --config.model.weight=symmetric(bits=4) --workdir=w",
  "train --config=tiny.py --record=records.jsonl --load=load.py --workdir=w",
  "train --config=tiny.py --config.data.shape=(4,4,1) --noconfig.tensorboard --workdir=w",
  "train --config=tiny.py --config.optim.name sgd --config.optim.lr 0.1 --workdir=w",
  "train --config=text.py --workdir=w",
  "train --config=tiny.py --fields",
  "eval --workdir=run",
  "eval --workdir=run --checkpoint=last --load=load.py",
  "sample --workdir=run --tokens=2",
  "sample --workdir=lm --tokens=2 --temperature=0.5 --top-k=2 --top-p=0.9 --prompt=ab",
  "cost --config=tiny.py --json",
  "cost --config=tiny.py:float --config.model.act=ste --by=bits",
  "cost --compare tiny.py tiny.py:float",
  "cost jax.numpy:dot --shape=3,8 --shape=8,5 --params=1 --csv",
  "sweep experiment.py --record=s.jsonl",
  "report page.md",
  "report page.md --check",
  "new my_sign --arxiv=2112.00133",
  "list",
  "list estimator",
)  # fmt: skip
NUMBERS = (
  "0", "1", "2", "-1", "-0", "0.5", "1e-3", "1e999", "nan", "inf", "-inf",
  "10**400", "9" * 400, "1" + "0" * 5000, "2147483648", "99999999999999999999",
  "1_000", "0x10", "1e3", "3.", "True", "None",
)  # fmt: skip
SMALL = ("0", "1", "-1", "-0", "0.5", "nan", "inf", "9" * 400, "x", "None")
WORDS = (
  "", " ", "\t", "\n", "a\nb", "\0", "a\0b", "é", "😀", "\u202e", "\x1b[31m",
  "\udcff", "a" * 5000, "'", '"', "'x'", "(1,", "()", "(1,)", "(2, 2, 1)", "[]",
  "[1, 2]", "{}", "{'a': 1}", "{1}", "1j", "b'x'", "...", "(" * 3000,
  "[" * 500 + "]" * 500, "-" * 5000 + "1", "None", "%s", "%(prog)s", "{0}", "-",
  "--", "=", "a=b", ",", ":", "::", "*", "~", "#", "$(touch pwned)",
  "`touch pwned`", "; touch pwned", "__import__('os').system('touch pwned')",
  "lambda: 1", "<script>", "ste", "stee", "float", "mlp", "sgd", "fake",
  "digits", "\\", "\\x", "'\\d'",
)  # fmt: skip
SPECS = (
  "ste", "ste|channel_l1", "symmetric(bits=4)|tensor_max", "ste|group_l1(size=0)",
  "absmax(bits=1000)", "stee", "ste||", "ste(", "ste|learned(init=1j)", "|",
  "recu(tau=1e20)", "dorefa(bits=2)", "bop", "reste", "float", "ste|stee",
  "ede(t=linear(start=2.0,end=0.0))", "None", "bireal", "xnor_net", "ecoformer",
)  # fmt: skip
PATHS = (
  ".", "a/b/c", "nope", "nope.py", "tiny.py", "broken.py", "syntax.py",
  "exits.py", "none.py", "load.py", "page.md", "plain.md", "r.jsonl", "run",
  "lm", "run/config.json", "/dev/null", "/dev/null/x", "/proc/self/nope",
  "tiny.py/", "x" * 300, "~", "gs:/x", "a b", "tiny.py:", "tiny.py:width",
  "tiny.py:width=x", "tiny.py:width=0", "tiny.py:float,float=2", "tiny.py:a:b",
  "tiny.py:name=" + "n" * 300, "tiny.py:name=a/b", "run/checkpoints", "text.py",
)  # fmt: skip
FIELDS = (
  *config_fields.FIELDS, "", ".", "model.hidden", "model.weight", "model.act",
  "model.nope", "model..x", "model.hidden.x", "optm.lr", "optim.lrr", "seed.x",
  "optim.options.b1", "optim.options.b2", "optim.latent.lr", "data.options.size",
  "data.options.nope", "task.distill", "data", "optim", "mesh", "stages[0]",
)  # fmt: skip


def draw(r: random.Random) -> list[str]:
  """A command line: a seed, up to four mutations of it."""
  argv = r.choice(SEEDS).split(" ")
  for _ in range(r.choice((0, 1, 1, 1, 1, 2, 2, 3))):
    argv = r.choice(MUTATIONS)(r, argv) or argv
  return argv


def value(r: random.Random, word: str) -> str:
  """A value for a flag, sane or not."""
  flag = word.partition("=")[0]
  if flag in ("--tokens", "--batch", "--top-k"):
    return r.choice(SMALL)  # a text of a million tokens is none too long
  if "model" in flag and r.random() < 0.5:
    return r.choice(SPECS)
  if r.random() < 0.3 or flag in (
    "--config",
    "--workdir",
    "--load",
    "--record",
  ):
    return r.choice(PATHS if r.random() < 0.7 else WORDS)
  return r.choice(NUMBERS if r.random() < 0.5 else WORDS)


def _drop(r, argv):
  at = r.randrange(len(argv))
  return argv[:at] + argv[at + 1 :]


def _twice(r, argv):
  at = r.randrange(len(argv) + 1)
  return (
    argv[:at] + argv[:1] * (not argv[1:]) + [r.choice(argv or [""])] + argv[at:]
  )


def _swap(r, argv):
  argv = list(argv)
  if len(argv) > 1:
    i, j = r.sample(range(len(argv)), 2)
    argv[i], argv[j] = argv[j], argv[i]
  return argv


def _garble(r, argv):
  if not argv:
    return argv
  at, letters = r.randrange(len(argv)), None
  word = argv[at]
  place = r.randrange(len(word) + 1)
  letters = r.choice(("", "x", "-", "=", ".", "é", "\0", " ", ":", ","))
  cut = word[:place] + letters + word[place + r.choice((0, 1, 1)) :]
  return [*argv[:at], cut, *argv[at + 1 :]]


def _value(r, argv):
  places = [i for i, w in enumerate(argv) if "=" in w]
  if not places:
    return [*argv, value(r, "")]
  at = r.choice(places)
  flag = argv[at].partition("=")[0]
  return [*argv[:at], f"{flag}={value(r, flag)}", *argv[at + 1 :]]


def _apart(r, argv):
  """`--flag=value` as two words."""
  places = [i for i, w in enumerate(argv) if "=" in w]
  if places:
    at = r.choice(places)
    argv = [*argv[:at], *argv[at].split("=", 1), *argv[at + 1 :]]
  return argv


def _flag(r, argv):
  """A flag of any command."""
  flag = r.choice(arguments.names(r.choice(list(COMMANDS))))
  flag = flag if flag != "--debug" else "--help"
  word = flag if r.random() < 0.3 else f"{flag}={value(r, flag)}"
  at = r.randrange(1, len(argv) + 1) if argv else 0
  return [*argv[:at], word, *argv[at:]]


def _override(r, argv):
  field = r.choice(FIELDS)
  flag = f"--{r.choice(('', '', '', '', 'no'))}config.{field}"
  words = ([flag], [f"{flag}={value(r, flag)}"], [flag, value(r, flag)])
  return [*argv, *r.choice((words[0], *words[1:2] * 8, words[2]))]


def _positional(r, argv):
  at = r.randrange(len(argv) + 1)
  word = r.choice((*PATHS, *WORDS, *COMMANDS))
  return [*argv[:at], word, *argv[at + (r.random() < 0.5) :]]


MUTATIONS = (
  _drop, _twice, _swap, _garble, _garble, _value, _value, _value, _apart, _flag,
  _override, _override, _override, _positional,
)  # fmt: skip


# What changes a run of a step without making it long; the first two are sane.
TRAINED = {
  "optim.name": ("adam", "adamw", "sgd", "lion", "bop"),
  "optim.lr": ("1e-3", "1", "0", "1e30", "nan"),
  "optim.weight_decay": ("0.1", "0.0", "1e30", "-1"),
  "optim.grad_clip": ("1.0", "1e-30", "0"),
  "optim.latent_clip": ("1.0", "0.0"),
  "optim.schedule": ("linear", "constant", "x"),
  "optim.warmup": ("0.5", "0.0", "1", "2", "1.0"),
  "model.weight": SPECS,
  "model.act": SPECS,
  "model.hidden": ("(4,)", "(2, 3)", "()", "(2, 3)", "4", "(0,)", "None"),
  "data.batch_size": ("16", "3", "1", "64", "65", "2147483647"),
  "data.eval_batch_size": ("7", "16", "1", "512"),
  "data.shape": (
    "(4, 4, 1)",
    "(4,4,1)",
    "(3, 5, 1)",
    "(1, 1, 1)",
    "(4, 4)",
    "()",
  ),
  "data.augment": ("flip", "('flip',)", "pad_crop(2)", "flp", "()"),
  "data.workers": ("0", "0", "-1"),
  "data.threads": ("2", "1", "0"),
  "data.options.size": ("32", "16", "0", "1"),
  "steps": ("1", "2", "0"),
  "epochs": ("1", "0.5", "0", "1e-9"),
  "seed": ("1", "4294967295", "4294967296", "-1"),
  "eval_every": ("0.5", "2", "1e30", "0"),
  "log_every": ("1", "2", "0"),
  "diagnostics": ("1", "2"),
  "events": ("()", "[]", "((0.5, 'x'),)", "3", "((1, 'calibrate'),)"),
  "stages": ("()", "({'until': 1.0},)", "({},)", "({'until': 2},)", "3"),
  "mesh.fsdp": ("1", "1", "2"),
  "mesh.tensor": ("1", "1", "0"),
  "init": ("", "", "run", "nope", "tiny.py"),
}


def trained(r: random.Random, number: int) -> list[str]:
  """A line that trains a step, or asks for what cannot be trained."""
  argv = ["train", f"--config=tiny.py:width={r.choice((2, 4, 8))}"]
  for field in r.sample(list(TRAINED), r.choice((1, 2, 2, 3))):
    values = TRAINED[field][: 2 if r.random() < 0.7 else None]
    argv.append(f"--config.{field}={r.choice(values)}")
  paths = [f"--workdir=trained/{number}", "--record=trained.jsonl"]
  if r.random() < 0.15:
    odd = r.choice(WORDS if r.random() < 0.5 else PATHS)
    at = r.randrange(2)
    paths[at] = f"{paths[at].partition('=')[0]}={odd}"
  return [*argv, *paths]
