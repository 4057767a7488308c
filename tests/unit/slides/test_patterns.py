"""Patterns, of `.pmarepignore` and of --include and --exclude, are those of git, and none of them takes long."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec
from support.corpus import tree
from support.discovery import discover

from pmarep.errors import UsageError
from pmarep.slides.ignore_file import IgnoreFile, IgnoreFileError
from pmarep.slides.patterns import PathMatcher, parse_segment
from pmarep.slides.selection import PatternList

NAMES = ("c", "a b", "a-", "[a]", "!a", "#a", "a*", "ba.svs", "x.svs", "aab", "a ", "]")
FOLDERS = ("a", "b", "ab", "ba")
PATHS = [
    *("a/", "b/", "ab/", "a/a/", "a/b/", "ab/a/", "a/a/b/"),
    *(f"{above}{name}" for above in ("", "a/", "b/", "a/b/", "ab/a/", "a/a/b/") for name in (*NAMES, "a", "b")),
]


def _differs_from_git(pattern: str) -> bool:
    """Return whether pathspec takes a pattern otherwise than git: `[!a]` for a "/", and `a/**/` for a file in a/."""
    return "[!" in pattern or "[^" in pattern or pattern.endswith("**/")


def read(folder: Path, *rules: str) -> IgnoreFile:
    (folder / ".pmarepignore").write_text("".join(f"{rule}\n" for rule in rules), "utf-8")
    return IgnoreFile(str(folder / ".pmarepignore"), "", None)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A git repository with many folders and files; their paths, those of folders with "/" at the end."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True)
    paths: list[str] = []
    for depth in range(3):
        for names in itertools.product(FOLDERS, repeat=depth):
            above = "".join(f"{name}/" for name in names)
            (folder / above).mkdir(exist_ok=True)
            paths += [above] if above else []
            for name in NAMES:
                (folder / above / name).touch()
                paths.append(above + name)
    return folder, paths


def ignored_by_git(folder: Path, rules: list[str], paths: list[str]) -> set[str]:
    (folder / ".gitignore").write_text("".join(f"{rule}\n" for rule in rules), "utf-8")
    asked = "\0".join(path.rstrip("/") for path in paths)  # it looks itself which of them are folders
    command = ["git", "-c", "core.ignorecase=true", "check-ignore", "--no-index", "--stdin", "-z"]
    done = subprocess.run(command, cwd=folder, input=asked, capture_output=True, text=True, check=False)
    found = set(done.stdout.split("\0"))
    return {path for path in paths if path.rstrip("/") in found}


def ignored_by_us(folder: Path, rules: list[str], paths: list[str]) -> set[str]:
    """As the walk asks: nothing in an ignored folder is asked about."""
    ignore, found = read(folder, *rules), set[str]()
    for path in sorted(paths, key=lambda path: path.count("/")):
        steps = path.rstrip("/").split("/")
        above = ["/".join(steps[:depth]) + "/" for depth in range(1, len(steps))]
        if not found.isdisjoint(above) or ignore.ignores(path):
            found.add(path)
    return found


atoms = st.sampled_from(
    [*"ab*?/-!# ", "ab", "**", "[ab]", "[!a]", "[^b]", "[a-b]", "[]a]", "\\a", "\\*", "\\ ", ".svs"]
)
rules = st.lists(st.lists(atoms, min_size=1, max_size=6).map("".join), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=rules)
def test_the_rules_are_those_of_git(repository: tuple[Path, list[str]], rules: list[str]) -> None:
    folder, paths = repository
    try:
        ours = ignored_by_us(folder, rules, paths)
    except IgnoreFileError:  # where git says nothing and ignores nothing
        return
    assert ours == ignored_by_git(folder, rules, paths)


def parsed(patterns: list[str]) -> PatternList | None:
    """None for what git passes over in silence, and for backslashes, which a command line does not take."""
    try:
        return PatternList("--exclude", patterns, set())
    except UsageError:
        return None


@given(rules)
def test_options_and_files_have_the_same_rules(rules: list[str]) -> None:
    """But for comments, blanks at the end of a line and empty lines, which only a file has."""
    patterns = parsed(rules)
    if patterns is None or any(rule.startswith("#") or rule.endswith(" ") for rule in rules):
        return
    with TemporaryDirectory() as folder:
        ignored = ignored_by_us(Path(folder), rules, PATHS)
    assert {path for path in PATHS if not path.endswith("/") and patterns.matches(path)} == {
        path for path in ignored if not path.endswith("/")
    }


@given(st.lists(atoms, min_size=1, max_size=6).map("".join))
def test_options_match_as_pathspec_does(pattern: str) -> None:
    patterns = parsed([pattern])
    if patterns is None or pattern.startswith("#") or pattern.endswith(" ") or _differs_from_git(pattern):
        return
    spec = GitIgnoreSpec.from_lines([pattern.upper()], backend="simple")
    for path in PATHS:
        if not path.endswith("/"):
            assert patterns.matches(path) == spec.match_file(path.upper()), (pattern, path)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("a[b", "a [ without its ]"),
        ("a\\", "a backslash at the end"),
        ("[z-a]", "the range [Z-A]"),
        ("[[:digit:]]", "a class such as [:alpha:]"),
        ("!", "a rule without a name"),
        ("*a" * 3000, "6000 characters"),
    ],
)
def test_what_git_passes_over_is_reported(tmp_path: Path, rule: str, words: str) -> None:
    with pytest.raises(IgnoreFileError) as caught:
        read(tmp_path, rule)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 204),
        ("?*?*?*?*?*?*?*?*?*b", "a" * 255),
        ("*" * 200 + "b", "a" * 255),
        ("[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*1", "a" * 255),
        ("**/a/**/a/**/a/**/a/**/a/**/a/**/b", "a/" * 2000 + "a"),
        ("**/*a*/**/*a*/**/*a*/**/*a*/**/b", "aaaa/" * 700 + "a"),
        ("a/" + "**/" * 1000 + "b", "a/" * 2000 + "a"),
        ("*a" * 120 + "b", "a" * 255),
    ],
)
def test_no_rule_takes_long(tmp_path: Path, rule: str, path: str) -> None:
    """A regular expression tries billions of ways on these."""
    assert not read(tmp_path, rule).ignores(path)
    assert read(tmp_path, "!x", rule[:-1] + path[-1]).ignores(path)


def test_the_walk_goes_on(tmp_path: Path) -> None:
    name = "a" * 200 + ".svs"
    tree(tmp_path, name, "b.svs")
    (tmp_path / ".pmarepignore").write_text("*a*a*a*a*a*a*a*a*a*a*b")
    assert set(discover(tmp_path).slides) == {name, "b.svs"}


def test_pieces_do_not_overlap() -> None:
    assert not PathMatcher([parse_segment("*ab*ba")]).matches(["aba"])
    assert PathMatcher([parse_segment("*ab*ba")]).matches(["abba"])
