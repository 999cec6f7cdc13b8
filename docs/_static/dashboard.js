/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The dashboard is as dark as the other pages: as the reader chose there, or else as the system is. A
 * link leads back to them.
 */
"use strict";

(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let mode = null;
  try {
    mode = localStorage.getItem("mode");
  } catch {
    // Nothing may be kept here, so nothing was chosen.
  }

  function paint() {
    const dark = mode === "dark" || (mode !== "light" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }

  paint();
  system.addEventListener("change", paint);
  document.addEventListener("DOMContentLoaded", () => {
    const back = '<li><a href="../history.html">\u2190 fastdrop</a></li>';
    document.querySelector("#nav ul").insertAdjacentHTML("afterbegin", back);
  });
})();
