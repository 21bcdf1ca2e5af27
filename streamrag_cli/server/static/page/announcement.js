// @ts-check

/**
 * Let screen readers say something, even if it is what they said last.
 * @param {string} text
 */
export function announce(text) {
  const line = /** @type {HTMLElement} */ (document.getElementById("announcement"));
  line.textContent = "";
  requestAnimationFrame(() => {
    line.textContent = text;
  });
}
