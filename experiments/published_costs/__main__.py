"""Do our counts give the costs that papers print?

  python -m experiments.published_costs

Builds the networks of `networks.py` from shapes, counts them, and writes our
figure for every row of `bnnjax/report/published.csv` that carries a cost to
`experiments/results/published_costs.jsonl`, and the page `README.md`. The page
names the rows that the library cannot count, and what is missing.
"""

import json

from . import counts, figures, page, printed


def main() -> None:
  rows, unverified, empty = printed.read()
  found = [c for p in rows if (c := figures.count_row(p, rows))]
  lines = [json.dumps(c.to_json()) + "\n" for c in found]
  counts.FILE.write_text("".join(lines))
  page.FILE.write_text(page.page(rows, found, unverified, empty))
  print(f"{page.FILE}: {len(rows)} rows, {len(found)} with a figure of ours")


if __name__ == "__main__":
  main()
