// @ts-check
/** The list of sources next to an answer, and navigation from a citation to its source and back. */

import { scrollTo } from "./scrolling.js";

/**
 * @param {HTMLElement} list
 * @param {readonly import("../client.js").Source[]} sources
 * @param {string} prefix of their ids, because every turn has a source 1
 */
export function showSources(list, sources, prefix) {
  list.replaceChildren(...sources.map((source) => card(source, `${prefix}-source-${source.n}`)));
}

/**
 * Mark the sources that the answer cites.
 * @param {HTMLElement} list
 * @param {readonly number[]} numbers
 */
export function markCited(list, numbers) {
  for (const number of list.querySelectorAll(".number")) {
    if (numbers.includes(Number(number.textContent))) number.closest(".source")?.classList.add("cited");
  }
}

/**
 * Mark the sources that do not seem to support what the answer cites them for.
 * @param {HTMLElement} list
 * @param {readonly number[]} numbers
 */
export function markUnsupported(list, numbers) {
  for (const number of list.querySelectorAll(".number")) {
    if (!numbers.includes(Number(number.textContent))) continue;
    number.closest(".source")?.classList.add("unsupported");
    number.append("?");
  }
}

/**
 * Scroll to a source, highlight it, and show a button that leads back.
 * @param {HTMLElement} list
 * @param {HTMLElement} from the citation that was followed
 * @param {string} id
 */
export function goToSource(list, from, id) {
  for (const previous of list.querySelectorAll(".reached")) previous.classList.remove("reached");
  const source = /** @type {HTMLElement | null} */ (document.getElementById(id));
  if (!source || !list.contains(source)) return;
  source.classList.add("reached");
  const back = /** @type {HTMLButtonElement} */ (source.querySelector(".back"));
  back.onclick = () => {
    source.classList.remove("reached");
    reveal(from);
  };
  reveal(source);
}

/** @param {HTMLElement} element */
function reveal(element) {
  element.focus({ preventScroll: true });
  scrollTo(element, "nearest");
}

/**
 * @param {import("../client.js").Source} source
 * @param {string} id
 */
function card(source, id) {
  const item = element("li", "source");
  item.id = id;
  item.tabIndex = -1;
  item.append(element("span", "number", String(source.n)), nameLine(source));
  if (source.title) item.append(element("p", "title", source.title));
  item.append(element("p", "excerpt", source.content), backButton());
  return item;
}

/** @param {import("../client.js").Source} source */
function nameLine(source) {
  const line = element("p", "name");
  const location = element("span", "where");
  location.append(element("bdi", "document", source.source), " ", element("span", "place", placeOf(source)));
  line.append(location, score(source));
  return line;
}

/** @param {import("../client.js").Source} source */
function placeOf({ page, line_start, line_end }) {
  if (page !== null) return `page ${page}`;
  if (line_start === null) return "";
  return line_end === null || line_end === line_start ? `line ${line_start}` : `lines ${line_start}–${line_end}`;
}

/** @param {import("../client.js").Source} source */
function score({ score }) {
  const label = element("span", "score");
  label.title = "How well the passage matches the question, from 0 to 1";
  label.style.setProperty("--score", String(score));
  label.append(element("span", "spoken", "score "), score.toFixed(2));
  return label;
}

function backButton() {
  const back = /** @type {HTMLButtonElement} */ (element("button", "back", "Back to the answer"));
  back.type = "button";
  return back;
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} text inserted as text, never as HTML
 */
function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  if (tag === "p") node.dir = "auto";
  return node;
}
