// @ts-check
/**
 * Renders Markdown while it arrives.
 *
 * Finished blocks are rendered once. Only the open block, or the open item of a list, is rendered again: at most once
 * per frame, and for at most a ninth of the time, so that a long open block cannot slow down the page.
 */

import DOMPurify from "../vendor/dompurify-3.4.18.js";
import { isSafeAddress, splitFinished, toHtml } from "./markdown.js";

const PAUSE_PER_COST = 8;
const SANITISER = {
  ALLOWED_TAGS: [
    ...["p", "br", "hr", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code", "em", "strong", "s"],
    ...["a", "span", "div", "table", "thead", "tbody", "tr", "th", "td", "#text"],
  ],
  ALLOWED_ATTR: ["href", "class", "start"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true, // nodes, not a string: the page's own code never writes HTML
};

export class StreamedMarkdown {
  /** @type {HTMLElement} */
  #root;
  #decorate;
  #rest = "";
  #mayHaveFinished = false;
  /** @type {ChildNode[]} nodes of the open block */
  #open = [];
  /** @type {Element | null} the list that the open block continues */
  #list = null;
  #frame = 0;
  #dueAtMs = 0;

  /**
   * @param {HTMLElement} root is emptied, and then managed by this object
   * @param {(fragment: DocumentFragment, isFinished: boolean) => void} decorate is called for each fragment before it is
   *   shown; one that is not finished will be replaced
   */
  constructor(root, decorate) {
    this.#root = root;
    this.#decorate = decorate;
    root.replaceChildren();
  }

  /** @param {string} text */
  append(text) {
    this.#rest += text;
    this.#mayHaveFinished ||= text.includes("\n");
    this.#frame ||= requestAnimationFrame(this.#tick);
  }

  /** Render the rest immediately and for the last time: no more text will follow. */
  finish() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#render(true);
    this.#rest = "";
    this.#open = [];
  }

  #tick = () => {
    const startMs = performance.now();
    if (startMs < this.#dueAtMs) {
      this.#frame = requestAnimationFrame(this.#tick);
      return;
    }
    this.#frame = 0;
    this.#render(false);
    const endMs = performance.now();
    this.#dueAtMs = endMs + PAUSE_PER_COST * (endMs - startMs);
  };

  /** @param {boolean} isComplete */
  #render(isComplete) {
    for (const node of this.#open) node.remove();
    if (this.#mayHaveFinished) this.#renderFinished();
    this.#open = this.#insert(this.#rest, isComplete);
  }

  #renderFinished() {
    const { finished, rest, continuesList } = splitFinished(this.#rest);
    this.#mayHaveFinished = false;
    if (!finished) return;
    this.#insert(finished, true);
    this.#rest = rest;
    this.#list = continuesList ? this.#root.lastElementChild : null;
  }

  /**
   * @param {string} text
   * @param {boolean} isFinished
   * @returns {ChildNode[]} the new nodes
   */
  #insert(text, isFinished) {
    const fragment = safeFragment(toHtml(text));
    this.#decorate(fragment, isFinished);
    const first = fragment.firstElementChild;
    /** @type {ChildNode[]} */
    let items = [];
    if (this.#list && first?.tagName === this.#list.tagName) {
      items = [...first.childNodes];
      this.#list.append(...items);
      first.remove();
    }
    const nodes = [...items, ...fragment.childNodes];
    this.#root.append(fragment);
    return nodes;
  }
}

/**
 * Sanitises `html`, although the parser already escapes HTML in the answer.
 * @param {string} html
 * @returns {DocumentFragment}
 */
function safeFragment(html) {
  const fragment = DOMPurify.sanitize(html, SANITISER);
  for (const link of fragment.querySelectorAll("a")) {
    if (!isSafeAddress(link.getAttribute("href") ?? "")) link.removeAttribute("href");
  }
  return fragment;
}
