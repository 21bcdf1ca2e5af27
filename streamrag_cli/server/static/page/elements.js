// @ts-check

/**
 * An element with text, which is never interpreted as HTML.
 * @param {string} tag
 * @param {string} className
 * @param {string} text
 * @returns {HTMLElement}
 */
export function element(tag, className, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  if (tag === "p") node.dir = "auto";
  return node;
}

/**
 * @param {string} className
 * @param {string} text
 * @param {() => void} action
 */
export function button(className, text, action) {
  const node = /** @type {HTMLButtonElement} */ (element("button", className, text));
  node.type = "button";
  node.addEventListener("click", action);
  return node;
}
