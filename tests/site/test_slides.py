"""Slides are the figures of the chapters, each with its caption and its words."""

import base64

import nbformat

from crs_lite.site import slides

PNG = base64.b64encode(b"a picture").decode()


def figure_cells(number: str, alt: str, caption: str = "What is *seen* in `it`, at $x$."):
    cell = nbformat.v4.new_code_cell("plots.draw()", metadata={"mystnb": {"image": {"alt": alt}}})
    cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})]
    return [cell, nbformat.v4.new_markdown_cell(f"**Figure {number}.** {caption}\n\nMore text.")]


def book(root, cells):
    (root / "book").mkdir()
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 4 Tries & beams\n\ntext"), *cells])
    nbformat.write(nb, root / "book" / "ch04-tries.ipynb")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/ch04-tries\n", encoding="utf-8")
    return root


def test_a_figure_becomes_a_file_and_a_slide_with_its_words(tmp_path):
    plain = nbformat.v4.new_code_cell("1")
    root = book(tmp_path, [*figure_cells("4.1", 'It falls to "0"'), plain, *figure_cells("4.2", "<b>")])
    made = slides.write(tmp_path / "out", root)
    assert [path.name for path in made] == ["figure-4-1.png", "figure-4-2.png", "index.html"]
    assert made[0].read_bytes() == b"a picture"
    page = made[-1].read_text(encoding="utf-8")
    assert page.count("<section>") == 2 and "4 Tries &amp; beams" in page
    assert 'alt="It falls to &quot;0&quot;"' in page and 'alt="&lt;b&gt;"' in page
    assert "4.1: What is seen in it, at x.</p>" in page and "More text" not in page


def test_the_book_has_a_slide_for_every_numbered_figure(tmp_path):
    made = slides.write(tmp_path)
    page = made[-1].read_text(encoding="utf-8")
    assert len(made) - 1 == page.count("<section>") >= 20
    assert 'alt=""' not in page
