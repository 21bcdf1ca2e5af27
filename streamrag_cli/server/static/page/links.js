// @ts-check
/** Prepares an answer for the page: hosts of links, links of citations, writing direction, scrollable code and tables. */

import { resolveCitation } from "./citations.js";
import { copyButton } from "./copying.js";
import { element } from "./elements.js";
import * as words from "./words.js";

/** A cell with at most so many characters, such as a date, is not broken into lines. */
const MAX_UNBROKEN_CHARS = 12;

/**
 * Prepare a fragment of an answer for the page.
 * @param {DocumentFragment} fragment
 * @param {object} context
 * @param {ReadonlyMap<number, string>} context.sources names of the sources by number
 * @param {string} context.prefix of the ids of the sources
 * @param {boolean} context.isFinished whether the fragment will not be replaced, so that it can have buttons
 */
export function decorate(fragment, { sources, prefix, isFinished }) {
  for (const link of fragment.querySelectorAll("a[href]")) showAddress(/** @type {HTMLAnchorElement} */ (link));
  for (const marker of fragment.querySelectorAll("span.citation")) resolveCitation(marker, sources, prefix);
  for (const scroller of fragment.querySelectorAll("pre, .table")) makeScrollable(scroller);
  for (const pre of fragment.querySelectorAll("pre")) frameCode(pre, isFinished);
  for (const cell of fragment.querySelectorAll("th, td")) {
    cell.classList.toggle("short", (cell.textContent ?? "").length <= MAX_UNBROKEN_CHARS);
  }
  // Bullets, columns and the line next to a quote are on the side where its text begins. The CSS aligns each paragraph.
  for (const block of fragment.querySelectorAll("ul, ol, blockquote, .table")) block.setAttribute("dir", "auto");
}

/** @param {HTMLAnchorElement} link */
function showAddress(link) {
  const address = link.getAttribute("href") ?? "";
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = address;
  const target = link.protocol === "mailto:" ? decodeLoosely(link.pathname) : link.host;
  const text = (link.textContent ?? "").trim();
  if (text === address || text === target) return;
  link.after(element("span", "address", ` (${target})`));
}

/** @param {string} text */
function decodeLoosely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {Element} scroller */
function makeScrollable(scroller) {
  scroller.setAttribute("tabindex", "0"); // so that the keyboard can scroll to the clipped part
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", scroller.tagName === "PRE" ? "Code" : "Table");
}

/**
 * Put a code block into a frame with its language and a button to copy it.
 * @param {HTMLElement} pre
 * @param {boolean} isFinished
 */
function frameCode(pre, isFinished) {
  const language = /(?:^|\s)language-(\S+)/.exec(pre.firstElementChild?.className ?? "")?.[1] ?? "";
  const frame = element("div", "code");
  frame.dir = "ltr";
  const bar = element("div", "bar");
  bar.append(element("span", "language", language));
  // Without the last line break, a shell does not run a pasted command immediately.
  if (isFinished) bar.append(copyButton(words.COPY_CODE, () => (pre.textContent ?? "").replace(/\n$/, "")));
  pre.replaceWith(frame);
  frame.append(bar, pre);
}
