"""Looks at the pages of `python3 dev.py docs` in Chromium.

  python tests/pages_in_browser.py docs/_build [FOLDER]

It opens each page without a network at the width of a desktop and of a phone,
follows every link of it within the pages, looks for the formulas, and writes
screenshots to FOLDER. Like `html_in_browser`, it is not one of the tests.
"""

import asyncio
import pathlib
import re
import sys
import urllib.parse

from html_in_browser import Browser, check, started

LOADED = "!window.isOld && document.readyState === 'complete'"
WIDER = "document.documentElement.scrollWidth - window.innerWidth"
LINKS = "[...document.querySelectorAll('a[href]')].map(a => a.href)"
# Formulas that take no place, and formulas in all.
FORMULAS = """(() => {
  const all = [...document.querySelectorAll('math')];
  const flat = all.filter(m => m.getBoundingClientRect().height < 5);
  return [flat.length, all.length];
})()"""


def broken(links: list[str]) -> list[str]:
  """Links to no file, or to no element of it; other sites are not asked."""
  wrong = []
  for link in set(links):
    parts = urllib.parse.urlsplit(link)
    if parts.scheme != "file":
      continue
    file = pathlib.Path(urllib.parse.unquote(parts.path))
    name = re.escape(urllib.parse.unquote(parts.fragment))
    if not file.is_file() or (
      name and not re.search(rf'id="{name}"', file.read_text())
    ):
      wrong.append(link)
  return wrong


async def look(browser: Browser, pages: pathlib.Path, folder: pathlib.Path):
  """Goes through all pages."""
  for page in sorted(pages.glob("*.html")):
    for size in ("light", "phone"):
      await browser.open(page, size, LOADED)
      await asyncio.sleep(0.2)
      name = f"{page.stem}, {size}"
      wider = await browser.run(WIDER)
      check(wider <= 0, f"{name}: as wide as its window ({wider})")
      flat, formulas = await browser.run(FORMULAS)
      check(not flat, f"{name}: {formulas} formulas are visible")
      await browser.photograph(folder / f"{page.stem}-{size}.png")
    wrong = broken(await browser.run(LINKS))
    check(not wrong, f"{page.stem}: links lead somewhere {wrong or ''}")
  check(not browser.wrong, f"no error, no request {browser.wrong or ''}")


async def main(pages: str, folder: str = ".") -> None:
  pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
  async with started() as browser:
    await look(browser, pathlib.Path(pages), pathlib.Path(folder))


if __name__ == "__main__":
  asyncio.run(main(*sys.argv[1:]))
