"""Under the title of every chapter that has a copy for class: a link to it, and nothing else."""

from types import SimpleNamespace

import pytest

from crs_lite.site import colab_badge
from crs_lite.site.address import UNSET, address
from crs_lite.site.handouts import FOLDER, colab_url


@pytest.fixture
def app(tmp_path):
    """As Sphinx calls it, on a book whose only copy is that of `ch01`."""
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "ch01.ipynb").touch()
    config = "repository:\n  url: https://github.com/an/other\n  branch: v9\n"
    (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
    handlers = {}
    made = SimpleNamespace(srcdir=str(tmp_path), connect=handlers.__setitem__)
    assert colab_badge.setup(made)["parallel_read_safe"]
    made.page = lambda name, context: handlers["html-page-context"](made, name, "page.html", context, None)
    return made


def test_a_chapter_gets_its_link_once_under_its_title(app):
    context = {"body": "<h1>One</h1><p>text</p><h1>Two</h1>"}
    app.page("book/ch01", context)
    link = f'<p class="colab"><a href="{colab_url("ch01", address(app_root(app)))}">Open in Colab</a></p>'
    assert context["body"] == f"<h1>One</h1>\n{link}<p>text</p><h1>Two</h1>"
    assert "/an/other/blob/v9/" in link


def test_without_an_address_the_page_says_so(app):
    (app_root(app) / "_config.yml").write_text("title: x\n", encoding="utf-8")
    context = {"body": "<h1>One</h1>"}
    app.page("book/ch01", context)
    assert UNSET.replace("`", "") in context["body"] and "href" not in context["body"]


def app_root(app):
    from pathlib import Path

    return Path(app.srcdir)


@pytest.mark.parametrize(
    "name, context", [("book/intro", {"body": "<h1>One</h1>"}), ("genindex", {}), ("book/ch01", {})]
)
def test_other_pages_stay_as_they_are(app, name, context):
    before = dict(context)
    app.page(name, context)
    assert context == before
