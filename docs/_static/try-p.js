/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The network of the start page. Its units are dropped by the decisions that fastdrop makes: this is
 * the stream of Philox4x32, as docs/explanation/stream.md defines it. Needs no network and no other
 * script.
 */
"use strict";

(() => {
  const LAYERS = [5, 8, 8, 5, 1]; // units from left to right; the last one is never dropped
  const WIDTH = 360;
  const HEIGHT = 200;
  const MASK = 0xffffffffn;

  /* Philox4x32-10 of Random123: four words of 32 bits. */
  function philox(key, counter) {
    let [k0, k1] = key;
    let [c0, c1, c2, c3] = counter;
    for (let round = 0; round < 10; round++) {
      const a = c0 * 0xd2511f53n;
      const b = c2 * 0xcd9e8d57n;
      [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & MASK, (a >> 32n) ^ c3 ^ k1, a & MASK];
      k0 = (k0 + 0x9e3779b9n) & MASK;
      k1 = (k1 + 0xbb67ae85n) & MASK;
    }
    return [c0, c1, c2, c3];
  }

  /* The uniform number of element i, of 64 bits: a byte of the stream and 56 tie digits. */
  function uniform(seed, i) {
    const key = [BigInt(seed), 0n];
    const word = philox(key, [BigInt(i >> 4), 0n, 0n, 0n])[(i >> 2) & 3];
    const byte = (word >> BigInt(8 * (i & 3))) & 0xffn;
    const tag = [..."fd:tieph"].map((letter) => BigInt(letter.charCodeAt(0)));
    tag.push(0n);
    const half = (at) => tag[at] | (tag[at + 1] << 8n) | (tag[at + 2] << 16n) | (tag[at + 3] << 24n);
    const tie = philox([key[0] ^ half(0), key[1] ^ half(4)], [BigInt(i), 0n, 0n, 0n]);
    return (byte << 56n) | (((tie[1] << 32n) | tie[0]) >> 8n);
  }

  /* Which of n elements are dropped; p = percent / 100, rounded to a double as in Python. */
  function dropped(seed, n, percent) {
    const limit = BigInt((percent / 100) * 2 ** 64);
    return Array.from({ length: n }, (_, i) => uniform(seed, i) < limit);
  }

  function element(name, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
      made.setAttribute(key, value);
    }
    parent.append(made);
    return made;
  }

  function build(root) {
    const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, root);
    root.prepend(svg);
    const units = LAYERS.map((count, layer) =>
      Array.from({ length: count }, (_, i) => ({
        x: 20 + (layer * (WIDTH - 40)) / (LAYERS.length - 1),
        y: (HEIGHT * (i + 1)) / (count + 1),
        hidden: layer < LAYERS.length - 1,
      })),
    );
    const edges = units.slice(1).flatMap((layer, before) =>
      layer.flatMap((to) =>
        units[before].map((from) => ({
          from,
          to,
          line: element("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y }, svg),
        })),
      ),
    );
    const every = units.flat();
    for (const unit of every) {
      unit.circle = element("circle", { cx: unit.x, cy: unit.y, r: 8 }, svg);
    }
    const decided = every.filter((unit) => unit.hidden);

    const slider = root.querySelector("input");
    const button = root.querySelector("button");
    const code = root.querySelector("code");
    const text = root.querySelector("output");
    let seed = 1;

    function draw() {
      const percent = Number(slider.value);
      const p = percent / 100;
      dropped(seed, decided.length, percent).forEach((drop, i) => {
        decided[i].dropped = drop;
      });
      for (const unit of every) {
        unit.circle.classList.toggle("fd-dropped", Boolean(unit.dropped));
      }
      for (const edge of edges) {
        const gone = edge.from.dropped || edge.to.dropped;
        edge.line.classList.toggle("fd-dropped", Boolean(gone));
      }
      const kept = decided.filter((unit) => !unit.dropped).length;
      const factor = p < 1 ? `, times ${(1 / (1 - p)).toFixed(2)}` : "";
      text.textContent = `${kept} of ${decided.length} units kept${kept ? factor : ""}`;
      code.textContent = `fd.dropout(x, p=${p}, rng=fd.Philox4x32(key=(${seed}, 0)))`;
    }

    slider.addEventListener("input", draw);
    button.addEventListener("click", () => {
      seed += 1;
      draw();
    });
    root.hidden = false;
    draw();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".fd-try").forEach(build);
  });
})();
