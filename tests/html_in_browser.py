"""Looks at a page of `bnnjax.report.html` in Chromium.

  python tests/html_in_browser.py page.html [FOLDER]

It opens the file without a network, points, filters and sorts, and writes
screenshots (light, dark, phone) to FOLDER. It is not one of the tests, since it
needs the program `chromium` (`apt-get install chromium`).
"""

import asyncio
import base64
import contextlib
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator

from tornado import websocket

SIZES = {"light": (1100, 900), "dark": (1100, 900), "phone": (360, 740)}
OPTIONS = (
  "--headless=new",
  "--no-sandbox",  # a container's root has none
  "--disable-gpu",
  "--remote-debugging-port=0",
  "--hide-scrollbars",
)
# In the page: where the middle of an element is.
MIDDLE = """(() => {{
  const node = document.querySelector({selector!r});
  node.scrollIntoView({{block: "nearest"}});
  const box = node.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}})()"""


READY = """!window.isOld && document.readyState === 'complete'
  && document.querySelectorAll('.mark').length > 0"""


class Browser:
  """A tab of Chromium, driven over the DevTools protocol.

  Attributes:
    wrong: errors of the console, exceptions, and requests that left the file.
  """

  def __init__(self, socket):
    self._socket = socket
    self._ids = itertools.count(1)
    self.wrong: list[str] = []

  async def call(self, method: str, **params):
    """The result of a command; what happens meanwhile is noted."""
    number = next(self._ids)
    message = {"id": number, "method": method, "params": params}
    await self._socket.write_message(json.dumps(message))
    while True:
      answer = json.loads(await self._socket.read_message())
      if answer.get("id") == number:
        if "error" in answer:
          raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]
      self._note(answer)

  def _note(self, event):
    what, params = event["method"], event["params"]
    if what == "Runtime.exceptionThrown" or (
      what == "Runtime.consoleAPICalled" and params["type"] == "error"
    ):
      self.wrong.append(json.dumps(params)[:500])
    if what == "Log.entryAdded" and params["entry"]["level"] == "error":
      self.wrong.append(params["entry"]["text"])
    if what == "Network.requestWillBeSent":
      url = params["request"]["url"]
      if not url.startswith(("file:", "data:")):
        self.wrong.append(f"request of {url}")

  async def run(self, script: str):
    """The value of an expression of the page's language."""
    result = await self.call(
      "Runtime.evaluate", expression=script, returnByValue=True
    )
    if "exceptionDetails" in result:
      raise RuntimeError(f"{script}: {result['exceptionDetails']}")
    return result["result"].get("value")

  async def mouse(self, kind: str, place, **more):
    await self.call(
      "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **more
    )

  async def point(self, selector: str):
    await self.mouse(
      "mouseMoved", await self.run(MIDDLE.format(selector=selector))
    )

  async def click(self, selector: str):
    place = await self.run(MIDDLE.format(selector=selector))
    for kind in ("mousePressed", "mouseReleased"):
      await self.mouse(kind, place, button="left", clickCount=1)

  async def key(self, key: str):
    code = {"Enter": 13, "Escape": 27}.get(key, 0)
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
      await self.call(
        "Input.dispatchKeyEvent",
        type=kind,
        key=key,
        windowsVirtualKeyCode=code,
        **text,
      )

  async def open(self, path: pathlib.Path, look: str, ready: str = READY):
    """Opens the file, in the size and colours of a look."""
    width, height = SIZES[look]
    await self.call(
      "Emulation.setDeviceMetricsOverride",
      width=width,
      height=height,
      deviceScaleFactor=2 if look == "phone" else 1,
      mobile=look == "phone",
    )
    scheme = "dark" if look == "dark" else "light"
    await self.call(
      "Emulation.setEmulatedMedia",
      features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    await self.run("window.isOld = true")
    await self.call("Page.navigate", url=path.resolve().as_uri())
    for _ in range(100):
      if await self.run(ready):
        return
      await asyncio.sleep(0.05)
    raise RuntimeError(f"{path} does not load.")

  async def photograph(self, path: pathlib.Path, whole: bool = False):
    shot = await self.call(
      "Page.captureScreenshot", captureBeyondViewport=whole
    )
    path.write_bytes(base64.b64decode(shot["data"]))


def check(holds: bool, what: str) -> None:
  print(f"{'ok   ' if holds else 'WRONG'} {what}")
  if not holds:
    raise SystemExit(1)


async def look(browser: Browser, page: pathlib.Path, folder: pathlib.Path):
  """Goes through the page as a reader would."""
  rows = "document.querySelectorAll('#table tbody tr').length"
  marks = "document.querySelectorAll('.mark:not(.small)').length"
  box = "!document.querySelector('#box').hidden"
  for name in SIZES:
    await browser.open(page, name)
    await asyncio.sleep(0.3)
    await browser.photograph(folder / f"{name}.png")
    wide = await browser.run(
      "document.documentElement.scrollWidth - window.innerWidth"
    )
    check(wide <= 0, f"{name}: the page is as wide as its window")
    if name == "phone":
      await browser.click(".mark:not(.small)")
    else:
      await browser.point(".mark:not(.small)")
    text = await browser.run("document.querySelector('#box').innerText")
    check(await browser.run(box), f"{name}: the box of a point appears")
    check("repeat" in text and "config" in text, f"{name}: with its origin")
    await browser.photograph(folder / f"{name}-point.png")

  await browser.open(page, "light")
  before = await browser.run(f"[{marks}, {rows}]")
  check(0 < before[0] <= before[1], f"points and rows: {before}")
  if await browser.run("document.querySelectorAll('.chip').length"):
    await browser.click(".chip")
    after = await browser.run(f"[{marks}, {rows}]")
    check(0 < after[1] < before[1], "a chip filters the table")
    check(after[0] < before[0], "and the points")
    await browser.click("#clear")
    check(await browser.run(f"[{marks}, {rows}]") == before, "clear undoes it")
  await browser.click("thead th:first-child button")
  names = "[...document.querySelectorAll('#table td:first-child')]"
  names = await browser.run(
    f"{names}.slice(0, {before[1]}).map(n => n.innerText)"
  )
  order = await browser.run(
    f"{json.dumps(names)}.sort((a, b) => a.localeCompare(b, 'en',"
    " {numeric: true}))"
  )
  check(names == order, "a heading sorts the table")
  sort = "document.querySelector('thead th').getAttribute('aria-sort')"
  check(await browser.run(sort) == "ascending", "and says so")
  await browser.key("Enter")
  check(await browser.run(sort) == "descending", "also with the keyboard")
  await browser.run("document.querySelector('.mark[tabindex=\"0\"]').focus()")
  check(await browser.run(box), "the focus shows a point")
  one = await browser.run("document.activeElement.ariaLabel")
  await browser.key("ArrowRight")
  other = await browser.run("document.activeElement.ariaLabel")
  check(one != other or before[0] == 1, "an arrow key goes to the next")
  await browser.key("Enter")
  await browser.key("Escape")
  check(not await browser.run(box), "Escape closes the box")
  check(not browser.wrong, f"no error, no request {browser.wrong or ''}")


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Browser]:
  """A tab of Chromium, which ends with the block."""
  chromium = shutil.which("chromium") or shutil.which("chromium-browser")
  if not chromium:
    raise SystemExit("There is no program `chromium` on the path.")
  with tempfile.TemporaryDirectory() as home:
    process = subprocess.Popen(
      [chromium, *OPTIONS, f"--user-data-dir={home}", "about:blank"],
      stderr=subprocess.PIPE,
      text=True,
    )
    try:
      for line in process.stderr:
        if found := re.search(r"ws://([^/]+)/", line):
          break
      else:
        raise SystemExit("Chromium does not start.")
      with urllib.request.urlopen(f"http://{found[1]}/json/list") as answer:
        (tab,) = [t for t in json.load(answer) if t["type"] == "page"]
      socket = await websocket.websocket_connect(
        tab["webSocketDebuggerUrl"], max_message_size=2**28
      )
      browser = Browser(socket)
      for domain in ("Page", "Runtime", "Log", "Network"):
        await browser.call(f"{domain}.enable")
      yield browser
      socket.close()
    finally:
      process.kill()
      process.wait()


async def main(page: str, folder: str = ".") -> None:
  pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
  async with started() as browser:
    await look(browser, pathlib.Path(page), pathlib.Path(folder))


if __name__ == "__main__":
  asyncio.run(main(*sys.argv[1:]))
