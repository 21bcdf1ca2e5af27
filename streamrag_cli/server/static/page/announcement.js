// @ts-check

/**
 * Have screen readers read a text aloud, even if it is the same as the last one.
 * @param {string} text
 */
export function announce(text) {
  const line = /** @type {HTMLElement} */ (document.getElementById("announcement"));
  line.textContent = "";
  requestAnimationFrame(() => {
    line.textContent = text;
  });
}
