"""One page of the book, rendered alone: the pages that it links to are empty."""

import re
import shutil
from pathlib import Path

from crs_lite.paths import BOOK, ROOT
from crs_lite.site.render import render


def render_alone(name: str, root: Path) -> Path:
    """`book/NAME.md` as a book of its own in the folder `root` -> the finished page."""
    (root / "book").mkdir()
    text = (BOOK / f"{name}.md").read_text(encoding="utf-8")
    linked = sorted(set(re.findall(r"\{doc\}`(?:[^`<]*<)?([\w-]+)>?`", text)))
    for other in linked:
        (root / "book" / f"{other}.md").write_text(f"# {other}\n")
    chapters = "".join(f"  - file: book/{other}\n" for other in linked)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: book/{name}\nchapters:\n{chapters}")
    shutil.copy2(ROOT / "_config.yml", root)
    for file in (f"{name}.md", "references.bib"):
        shutil.copy2(BOOK / file, root / "book")
    for folder in ("live", "_static"):
        shutil.copytree(BOOK / folder, root / "book" / folder)
    return render(root, root / "out").parent / "book" / f"{name}.html"
