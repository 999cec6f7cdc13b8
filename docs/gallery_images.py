# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx extension that lets every builder show the figures of the gallery.

With `image_srcset`, sphinx-gallery makes a kind of node of its own for them, which only the HTML
and LaTeX builders can write. The others get an ordinary image.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_gallery.directives import imgsgnode


class OrdinaryImages(SphinxPostTransform):
    """Puts an image in the place of sphinx-gallery's nodes."""

    default_priority = 100

    def run(self, **options: Any) -> None:
        """Replace them in one document."""
        if self.app.builder.format in ("html", "latex"):
            return
        for node in list(self.document.findall(imgsgnode)):
            uri, _ = self.env.relfn2path(node["uri"])
            self.env.images.add_file(self.env.docname, uri)
            node.replace_self(nodes.image(uri=uri, alt=node["alt"], candidates={"*": uri}))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_post_transform(OrdinaryImages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
