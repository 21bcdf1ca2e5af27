// @ts-check
/** The list of sources next to an answer, and navigation from a citation to its source and back. */

import { announce } from "./announcement.js";
import { button, element } from "./elements.js";
import { loadPassage, markedPassage } from "./passage.js";
import { scrollTo } from "./scrolling.js";
import * as words from "./words.js";

/** @typedef {import("../client.js").Source} Source */

/**
 * @param {HTMLElement} list
 * @param {readonly Source[]} sources
 * @param {object} turn
 * @param {string} turn.prefix of their ids, because every turn has a source 1
 * @param {string} turn.collection that the passages are in; "" for the server's default
 */
export function showSources(list, sources, { prefix, collection }) {
  list.replaceChildren(...sources.map((source) => card(source, `${prefix}-source-${source.n}`, collection)));
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
 * Mark the sources that do not seem to support a sentence that cites them.
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

/** @param {HTMLElement} target */
function reveal(target) {
  target.focus({ preventScroll: true });
  scrollTo(target, "nearest");
}

/**
 * @param {Source} source
 * @param {string} id
 * @param {string} collection
 */
function card(source, id, collection) {
  const item = element("li", "source");
  item.id = id;
  item.tabIndex = -1;
  item.append(element("span", "number", String(source.n)), nameLine(source));
  if (source.title) item.append(element("p", "title", source.title));
  const excerpt = element("p", "excerpt");
  excerpt.append(...highlighted(source));
  const passage = element("div", "passage");
  passage.id = `${id}-passage`;
  passage.hidden = true;
  item.append(excerpt, passageButton(item, passage, source, collection), passage, button("back", words.BACK, () => {}));
  return item;
}

/** @param {Source} source */
function nameLine(source) {
  const line = element("p", "name");
  const location = element("span", "where");
  location.append(element("bdi", "document", source.source), " ", element("span", "place", words.placeOf(source)));
  line.append(location, score(source));
  return line;
}

/** @param {Source} source */
function score({ score }) {
  const label = element("span", "score");
  label.title = "How well the passage matches the question, from 0 to 1";
  label.style.setProperty("--score", String(score));
  label.append(element("span", "spoken", "score "), score.toFixed(2));
  return label;
}

/**
 * The excerpt, with the words of the question, which the server has found, in bold.
 * @param {Source} source
 */
function highlighted({ content, matches = [] }) {
  const characters = [...content];
  const nodes = [];
  let at = 0;
  for (const [start, end] of matches) {
    nodes.push(new Text(characters.slice(at, start).join("")));
    nodes.push(element("mark", "", characters.slice(start, end).join("")));
    at = end;
  }
  return [...nodes, new Text(characters.slice(at).join(""))];
}

/**
 * A button that shows the whole passage instead of the excerpt, and hides it again.
 * @param {HTMLElement} item
 * @param {HTMLElement} passage
 * @param {Source} source
 * @param {string} collection
 */
function passageButton(item, passage, source, collection) {
  let isLoaded = false;
  const toggle = button("open", words.WHOLE_PASSAGE, async () => {
    const isOpen = item.classList.toggle("opened");
    passage.hidden = !isOpen;
    toggle.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen || isLoaded) return;
    passage.replaceChildren(element("p", "loading", words.LOADING));
    try {
      showPassage(passage, await loadPassage(source.chunk_id, collection), source);
      isLoaded = true;
    } catch (failure) {
      const message = failure instanceof Error ? failure.message : String(failure);
      passage.replaceChildren(element("p", "failure", message));
      announce(message);
    }
  });
  toggle.append(element("span", "spoken", ` of source ${source.n}`));
  toggle.setAttribute("aria-expanded", "false");
  toggle.setAttribute("aria-controls", passage.id);
  return toggle;
}

/**
 * @param {HTMLElement} passage
 * @param {string} text
 * @param {Source} source
 */
function showPassage(passage, text, source) {
  const block = element("div", "text");
  block.dir = "auto";
  block.tabIndex = 0; // so that the keyboard can scroll it
  block.setAttribute("role", "region");
  block.setAttribute("aria-label", words.passageOf(source.n));
  block.append(...markedPassage(text, source.content));
  passage.replaceChildren(block);
  const mark = block.querySelector("mark");
  if (mark) block.scrollTop = mark.offsetTop - block.offsetTop - block.clientHeight / 3;
}
