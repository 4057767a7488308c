"""Hooks of `mkdocs build`: pages from the code and from the root folder, links between them, a last check.

- The reference is made from the code by `reference.py`; documents of the root folder become pages of the manual.
- Links are written as they work in the repository. Here they are turned into links between pages.
- Diagrams in Mermaid are shown as pictures that were drawn before: a browser would fetch Mermaid from elsewhere.
- A page that would load anything from another host ends the build.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

DOCS = Path(__file__).parent
ROOT = DOCS.parent
FROM_ROOT = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
"""Documents outside `docs/` that are pages of the manual, under the same path."""

PAGE_OF = {"sites.example.toml": "reference/site-book.md", "README.md": "index.md"}
"""Files of the root folder that a page stands for."""

_log = logging.getLogger("mkdocs.site_hooks")

_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_LOADED = re.compile(
    r"""<(?:script|img|iframe|audio|video|source|embed|object)\b[^>]*?\s(?:src|data)=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon|preconnect|modulepreload))[^>]*?\shref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|url\(["']?((?:https?:)?//[^"')]+)|@import\s+["']((?:https?:)?//[^"']+)"""
)


def _reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def slug(title: str, separator: str) -> str:
    """Return the anchor of a heading as GitHub makes it, so that one link works in both."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", separator)


def on_config(config: Any) -> Any:
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Any, config: Any) -> Any:
    for path, text in _reference().pages().items():
        files.append(File.generated(config, path, content=text))
    for path in FROM_ROOT:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page outside of its blocks of code, and put pictures in place of diagrams."""
    path = page.file.src_uri
    here = path if path in FROM_ROOT else f"docs/{path}"
    parts = _FENCE.split(markdown)
    return "".join(
        _diagram(part, path) if part.startswith("```") else _LINK.sub(lambda match: _link(match, here, path), part)
        for part in parts
    )


def _link(match: re.Match[str], here: str, page: str) -> str:
    """Return a link from the repository's file `here` as a link from the page `page`."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), match[2]))
    if target in FROM_ROOT:
        there = target
    elif target in PAGE_OF:
        there = PAGE_OF[target]
    elif target.startswith("docs/"):
        there = target.removeprefix("docs/")
    else:
        raise PluginError(f"{here} links to {target}, which is no page of the manual; name the file without a link")
    there = "decisions/README.md" if there == "decisions" else there
    return f"{match[1]}{posixpath.relpath(there, posixpath.dirname(page) or '.')}{match[3] or ''}"


def _diagram(fence: str, page: str) -> str:
    """Return the picture of a diagram; the text of it while it was not drawn."""
    if not fence.startswith("```mermaid\n"):
        return fence
    picture = f"assets/diagram-{digest(fence)}.svg"
    if not (DOCS / picture).exists():
        _log.info("%s: a diagram is shown as text until somebody draws it into docs/%s", page, picture)
        return fence.replace("```mermaid", "```text", 1)
    path = posixpath.relpath(picture, posixpath.dirname(page) or ".")
    return f"![The diagram, whose text is in the sources of this page]({path}){{ .diagram }}"


def digest(fence: str) -> str:
    """Return what the name of a diagram's picture says of its text."""
    return hashlib.sha256(fence.encode()).hexdigest()[:12]


def on_post_build(config: Any, **_: Any) -> None:
    site = Path(config.site_dir)
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        if found := _LOADED.search(file.read_text("utf-8")):
            raise PluginError(f"{file.relative_to(site)} would load {next(filter(None, found.groups()))}")
