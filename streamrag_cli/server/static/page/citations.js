// @ts-check
/** Citations in an answer: links to their sources, and marks on unreliable ones. */

import { element } from "./elements.js";
import * as words from "./words.js";

/**
 * @param {Element} marker contains the comma-separated numbers of one `[...]`
 * @param {ReadonlyMap<number, string>} sources names of the sources by number
 * @param {string} prefix of the ids of the sources
 */
export function resolveCitation(marker, sources, prefix) {
  const numbers = (marker.textContent ?? "").split(",").map(Number);
  if (marker.closest("a"))
    marker.replaceWith(`[${numbers.join(", ")}]`); // links cannot be nested
  else marker.replaceWith(...numbers.map((n) => citationOf(n, sources.get(n), prefix)));
}

/**
 * Mark the citations of these sources, whose passages do not seem to support a sentence that cites them.
 * @param {HTMLElement} answer
 * @param {readonly number[]} numbers
 */
export function markUnsupportedCitations(answer, numbers) {
  for (const link of answer.querySelectorAll("a.citation")) {
    const n = Number(/\d+/.exec(link.textContent ?? "")?.[0]);
    if (!numbers.includes(n)) continue;
    link.classList.add("unsupported");
    link.textContent = `[${n}?]`;
    link.setAttribute("aria-label", `${link.getAttribute("aria-label")}, ${words.UNSUPPORTED}`);
    link.setAttribute("title", `${link.getAttribute("title")}: ${words.UNSUPPORTED}`);
  }
}

/**
 * @param {number} n
 * @param {string | undefined} source
 * @param {string} prefix
 */
function citationOf(n, source, prefix) {
  if (source === undefined) return unknownCitation(n);
  const link = /** @type {HTMLAnchorElement} */ (element("a", "citation", `[${n}]`));
  link.href = `#${prefix}-source-${n}`;
  link.setAttribute("aria-label", `Source ${n}, ${source}`);
  link.title = source;
  return link;
}

/** @param {number} n */
function unknownCitation(n) {
  const marker = element("span", "citation unknown", `[${n}?]`);
  marker.title = words.UNKNOWN;
  marker.append(element("span", "spoken", " no such source"));
  return marker;
}
