# SPDX-License-Identifier: BSD-3-Clause
"""Check that every local link of a built site leads somewhere: ``python check_links.py SITE``.

Sphinx checks the references of the sources; this looks at what came out of them, with what the
theme adds: files and, within pages, anchors. Pages that Sphinx did not write are only led to.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and the links in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag defines and what it refers to."""
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.links.append(value)


def main() -> None:
    """Print each link that leads nowhere; fail if there is one, or if there are no links."""
    site = Path(sys.argv[1]).resolve()
    texts = {path: path.read_text("utf-8") for path in sorted(site.rglob("*.html"))}
    pages = {path: Page(text) for path, text in texts.items() if "data-content_root=" in text}
    checked, dead = 0, []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                dead.append(f"{path.relative_to(site)}: {link}: no such file")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                dead.append(f"{path.relative_to(site)}: {link}: no such anchor")
    print(*dead, sep="\n", end="\n" if dead else "")
    print(f"{checked} local links on {len(pages)} pages, {len(dead)} of them dead")
    if dead or not checked:
        sys.exit(1)


if __name__ == "__main__":
    main()
