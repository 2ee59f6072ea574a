"""The bar of a notebook; `display_test` and `one_bar_test` use it, too."""

import sys
import types

from bnnjax.train import bars


class Kernel:
  """Stands for IPython in the kernel of a notebook; holds what was drawn."""

  def __init__(self, patch):
    self.drawn = []
    shell = types.SimpleNamespace(kernel=object())
    display = types.SimpleNamespace(display=self._display)
    module = types.SimpleNamespace(get_ipython=lambda: shell, display=display)
    patch.setitem(sys.modules, "IPython", module)
    patch.setitem(sys.modules, "IPython.display", display)

  def _display(self, data, *, raw, display_id):
    assert raw
    assert display_id
    self.drawn.append(data)
    return types.SimpleNamespace(update=lambda d, raw: self.drawn.append(d))

  @property
  def texts(self):
    """Without markup."""
    return [data["text/plain"] for data in self.drawn]


def test_a_bar_is_redrawn_in_place(monkeypatch, capsys):
  kernel = Kernel(monkeypatch)
  bar = bars.make(200, 50)
  bar.update(100, "loss <0.5>")
  bar.line("kept")
  bar.stop()
  assert kernel.texts == ["50/200 ", "100/200 loss <0.5>"]
  assert kernel.drawn[1]["text/html"] == (
    '<progress value="100" max="200"></progress> loss &lt;0.5&gt;'
  )
  assert capsys.readouterr().out == "kept\n"


def test_elsewhere_there_is_no_bar(monkeypatch, capsys):
  terminal = types.SimpleNamespace(get_ipython=lambda: object())
  for module in (None, terminal):
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert not bars.in_notebook()
    assert bars.make(3) is None
