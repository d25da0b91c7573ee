"""A Sphinx extension: under the title of every chapter, a link that opens its copy in Colab. No remote image."""

from __future__ import annotations

from pathlib import Path

from crs_lite.site.address import UNSET, address
from crs_lite.site.handouts import FOLDER, colab_url


def _add(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    stem, root = Path(pagename).name, Path(app.srcdir)
    if "body" in context and (root / FOLDER / f"{stem}.ipynb").exists():
        where = address(root)
        link = f'<a href="{colab_url(stem, where)}">Open in Colab</a>' if where else UNSET.replace("`", "")
        context["body"] = context["body"].replace("</h1>", f'</h1>\n<p class="colab">{link}</p>', 1)


def setup(app) -> dict:
    """What Sphinx calls to load the extension."""
    app.connect("html-page-context", _add)
    return {"parallel_read_safe": True}
