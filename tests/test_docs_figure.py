# SPDX-License-Identifier: BSD-3-Clause
"""The interactive figure of the start page shows the masks that fastdrop draws."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fastdrop as fd

DOCS = Path(__file__).parents[1] / "docs"
BROWSER = next(filter(shutil.which, ("chromium", "google-chrome", "chromium-browser")), None)

# What the page has of the figure, with a script that moves the slider and notes what is dropped.
PAGE = """<!doctype html><meta charset="utf-8"><pre></pre>{figure}<script>{script}</script><script>
document.addEventListener("DOMContentLoaded", () => {{
  const names = ["input", "button", "pre"];
  const [input, button, log] = names.map((name) => document.querySelector(name));
  for (let seed = 1; seed <= 40; seed++) {{
    for (const percent of [0, 1, 25, 29, 50, 57, 99, 100]) {{
      input.value = percent;
      input.dispatchEvent(new Event("input"));
      const units = [...document.querySelectorAll("circle")].slice(0, -1);
      const kept = units.map((unit) => (unit.classList.contains("fd-dropped") ? "0" : "1"));
      log.append(`${{seed}} ${{percent}} ${{kept.join("")}};`);
    }}
    button.click();
  }}
}});
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")
@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
def test_the_masks_of_the_figure_are_those_of_fastdrop(tmp_path):
    start = (DOCS / "index.md").read_text("utf-8")
    figure = re.search("<figure.*</figure>", start, re.DOTALL)[0]
    script = (DOCS / "_static" / "try-p.js").read_text("utf-8")
    page = tmp_path / "figure.html"
    page.write_text(PAGE.format(figure=figure, script=script), "utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/user")
    command = [BROWSER, *options, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode()
    lines = re.search("<pre>(.*?)</pre>", shown, re.DOTALL)[1].split(";")[:-1]
    assert len(lines) == 320
    for line in lines:
        seed, percent, kept = line.split()
        source = fd.Philox4x32(key=(int(seed), 0))
        mask = fd.dropout_mask(len(kept), int(percent) / 100, rng=source)
        assert kept == "".join(map(str, np.asarray(mask).astype(int))), line
