// @ts-check
/** One turn of the conversation: a question, its answer and its sources, as they arrive or as they were saved. */

import { markUnsupportedCitations } from "./citations.js";
import { copyOnClick } from "./copying.js";
import { element } from "./elements.js";
import { showFootnotes, withFootnotes } from "./footnotes.js";
import { decorate } from "./links.js";
import { goToSource, markCited, markUnsupported, showSources } from "./source-list.js";
import { StreamedMarkdown } from "./streamed-markdown.js";
import { isEndOfThinking, TurnRecord } from "./turn-record.js";
import * as words from "./words.js";

/** @typedef {import("../client.js").RagEvent} RagEvent */

let count = 0;

export class Turn {
  /** @type {HTMLElement} */
  element;
  record;
  #prefix = `turn-${(count += 1)}`;
  #startedAtMs = performance.now();
  #hasText = false;
  /** @type {Map<number, string>} */
  #names = new Map();
  #answer;

  /**
   * Create a turn that waits for its answer.
   * @param {string} question
   * @param {string} collection "" for the server's default
   * @param {import("../client.js").Filter} [filter] the documents to ask; empty for all
   */
  constructor(question, collection, filter = {}) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("turn"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.record = new TurnRecord(question, collection, filter);
    this.#answer = this.#newAnswer();
    this.#part("asked").textContent = question;
    this.#part("scope").textContent = words.onlyIn(filter);
    this.#part("scope").hidden = this.#part("scope").textContent === "";
    this.#label(this.element, this.#part("asked"), "asked");
    this.#label(this.#part("evidence"), this.#part("evidence").querySelector("h3"), "sources");
    this.#part("exchange").setAttribute("aria-busy", "true");
    this.#part("exchange").addEventListener("click", (event) => this.#followLink(event));
    copyOnClick(this.#part("copy-answer"), () => withFootnotes(this.answer, this.record.citedSources));
  }

  /**
   * Restore a saved turn. Throws an error if `kept` is not a `TurnRecord`.
   * @param {TurnRecord} kept
   */
  static restored(kept) {
    const turn = new Turn(String(kept.question), String(kept.collection ?? ""), kept.filter ?? {});
    turn.#silence();
    turn.record.firstTokenMs = typeof kept.firstTokenMs === "number" ? kept.firstTokenMs : null;
    turn.record.totalMs = typeof kept.totalMs === "number" ? kept.totalMs : null;
    turn.record.isAskedAgain = kept.isAskedAgain === true;
    for (const event of kept.events) turn.show(event);
    turn.end(kept.outcome === "running" ? "stopped" : kept.outcome);
    return turn;
  }

  get question() {
    return this.record.question;
  }

  get answer() {
    return this.record.answer;
  }

  get isPartOfTheConversation() {
    return this.record.isPartOfTheConversation;
  }

  get sourceCount() {
    return this.#names.size;
  }

  /** @param {RagEvent} event */
  show(event) {
    this.record.add(event);
    switch (event.type) {
      case "question":
        return this.#showSearched(event.searched_for);
      case "sources":
        return this.#showSources(event.sources);
      case "token":
        return this.#showToken(event.token);
      case "citations":
        return this.#showCitations(event);
      case "notice":
        return isEndOfThinking(event) ? this.#foldThinking() : this.#showNote(event.message);
      case "done":
        this.record.totalMs ??= performance.now() - this.#startedAtMs;
        return this.#showTimings(event.model);
      case "error":
        return this.#showError(event);
    }
  }

  /**
   * End the turn: no more events will follow.
   * @param {import("./turn-record.js").Outcome} outcome
   */
  end(outcome) {
    this.record.outcome = outcome;
    this.#answer.finish();
    this.#part("exchange").removeAttribute("aria-busy");
    if (outcome === "stopped") this.#part("timings").prepend(words.stopped(this.#hasText));
    this.#part("again").hidden = !this.record.mayBeAskedAgain;
    this.#part("copy-answer").hidden = this.answer.trim() === "";
  }

  /** Note that a later turn repeats the question. */
  markAskedAgain() {
    this.record.isAskedAgain = true;
    this.#part("again").hidden = true;
  }

  /** @param {() => void} action */
  onAskAgain(action) {
    this.#part("again").addEventListener("click", action);
  }

  #newAnswer() {
    return new StreamedMarkdown(this.#part("answer"), (part, isFinished) =>
      decorate(part, { sources: this.#names, prefix: this.#prefix, isFinished }),
    );
  }

  /** @param {readonly string[]} queries */
  #showSearched(queries) {
    const line = words.searchedFor(this.question, queries);
    this.#part("searched").textContent = line;
    this.#part("searched").hidden = !line;
  }

  /** @param {import("../client.js").Source[]} sources */
  #showSources(sources) {
    for (const { n, source } of sources) this.#names.set(n, source);
    showSources(this.#part("sources"), sources, { prefix: this.#prefix, collection: this.record.collection });
    this.#part("evidence").hidden = sources.length === 0;
  }

  /** @param {string} token */
  #showToken(token) {
    if (!this.#hasText) {
      this.#hasText = true;
      this.record.firstTokenMs ??= performance.now() - this.#startedAtMs;
      this.#showTimings("");
    }
    this.#answer.append(token);
  }

  /** Move the text so far, which is not part of the answer, into a closed section above it. */
  #foldThinking() {
    this.#answer.finish();
    const section = element("details", "thinking");
    section.append(element("summary", "", words.THINKING), ...this.#part("answer").childNodes);
    this.#part("answer").before(section);
    this.#answer = this.#newAnswer();
  }

  /** @param {import("../client.js").CitationsEvent} event */
  #showCitations({ citations, unknown, unsupported = [] }) {
    markCited(
      this.#part("sources"),
      citations.map(({ n }) => n),
    );
    showFootnotes(this.#part("footnotes"), this.record.citedSources, this.#prefix);
    if (unknown.length) this.#showNote(words.unknownCitations(unknown));
    if (unsupported.length === 0) return;
    this.#answer.finish();
    markUnsupportedCitations(this.#part("answer"), unsupported);
    markUnsupported(this.#part("sources"), unsupported);
    this.#showNote(words.unsupportedCitations(unsupported));
  }

  /**
   * Show a note once, below the answer if the answer has begun, so that text being read does not move.
   * @param {string} message
   */
  #showNote(message) {
    const list = this.#part(this.#hasText ? "afterword" : "notices");
    if (list.lastElementChild?.textContent !== message) list.append(element("li", "", message));
  }

  /** @param {string} model */
  #showTimings(model) {
    this.#part("timings").textContent = words.timings(this.record.firstTokenMs, this.record.totalMs, model);
  }

  /** @param {import("../client.js").ErrorEvent} event */
  #showError(event) {
    const box = this.#part("problem");
    box.classList.toggle("calm", event.code === "nothing_relevant"); // an answer rather than a failure
    box.replaceChildren(element("p", "", event.error));
    const advice = words.advice(event, navigator.onLine);
    if (advice) box.append(element("p", "hint", advice));
  }

  /** @param {MouseEvent} event */
  #followLink(event) {
    const link = /** @type {HTMLElement} */ (event.target).closest("a.citation, a.reference");
    if (!(link instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    goToSource(this.#part("sources"), link, link.hash.slice(1));
  }

  /** Keep screen readers from announcing a restored turn. */
  #silence() {
    for (const name of ["notices", "afterword"]) this.#part(name).removeAttribute("aria-live");
    this.#part("problem").removeAttribute("role");
  }

  /**
   * @param {Element} labelled
   * @param {Element | null} heading
   * @param {string} name
   */
  #label(labelled, heading, name) {
    if (heading) heading.id = `${this.#prefix}-${name}`;
    labelled.setAttribute("aria-labelledby", `${this.#prefix}-${name}`);
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.element.querySelector(`.${name}`));
  }
}
