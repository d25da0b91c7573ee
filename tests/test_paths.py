"""All folders in one place."""

import ast
from pathlib import Path

from crs_lite import paths

FOLDERS = {name: value for name, value in vars(paths).items() if isinstance(value, Path)}


def test_everything_lies_in_the_project_and_what_is_shipped_is_there():
    assert (paths.ROOT / "crs_lite" / "paths.py").is_file()
    made_here = {"RUNS", "TRIED", "BUILD"}
    for name, path in FOLDERS.items():
        assert path.is_relative_to(paths.ROOT), name
        assert name in made_here or path.exists(), name


def test_rows_of_uncommitted_code_are_never_among_the_recorded_ones():
    assert paths.TRIED.is_relative_to(paths.RUNS) and not paths.TRIED.is_relative_to(paths.BOOK)


def test_no_other_module_finds_its_way_from_its_own_place():
    """But for a file that belongs to a module and stands beside it."""
    users = {
        path.relative_to(paths.ROOT / "crs_lite").as_posix()
        for path in (paths.ROOT / "crs_lite").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id == "__file__"
    }
    assert users <= {"paths.py", "chapters/lesson.py", "chapters/toys.py"}
