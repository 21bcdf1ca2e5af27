// @ts-check
/** One turn of the conversation: a question, its answer and its sources, as they arrive or as they were kept. */

import { decorate } from "./links.js";
import { goToSource, markCited, markUnsupported, showSources } from "./source-list.js";
import { StreamedMarkdown } from "./streamed-markdown.js";
import * as words from "./words.js";

/** @typedef {import("../client.js").RagEvent} RagEvent */
/** @typedef {"running" | "done" | "error" | "stopped"} Outcome */
/**
 * What is kept of a turn. `events` are the events so far without status events, and with consecutive tokens as one
 * event. Times are in milliseconds since the question was asked.
 * @typedef {object} TurnRecord
 * @property {string} question
 * @property {RagEvent[]} events
 * @property {Outcome} outcome
 * @property {number | null} firstTokenMs
 * @property {number | null} totalMs
 * @property {boolean} isAskedAgain whether a later turn repeats the question
 */

let count = 0;

export class Turn {
  /** @type {HTMLElement} */
  element;
  /** @type {TurnRecord} */
  record;
  #prefix = `turn-${(count += 1)}`;
  #startedAtMs = performance.now();
  #hasText = false;
  /** @type {Map<number, string>} */
  #names = new Map();
  #answer;

  /**
   * A turn whose answer is awaited.
   * @param {string} question
   */
  constructor(question) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("turn"));
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.record = { question, events: [], outcome: "running", firstTokenMs: null, totalMs: null, isAskedAgain: false };
    this.#answer = new StreamedMarkdown(this.#part("answer"), (part) => decorate(part, this.#names, this.#prefix));
    this.#part("asked").textContent = question;
    this.#label(this.element, this.#part("asked"), "asked");
    this.#label(this.#part("evidence"), this.#part("evidence").querySelector("h3"), "sources");
    this.#part("exchange").setAttribute("aria-busy", "true");
    this.#part("answer").addEventListener("click", (event) => this.#followCitation(event));
  }

  /**
   * A turn as it was kept. Throws an error if `record` is not a `TurnRecord`.
   * @param {TurnRecord} record
   */
  static restored(record) {
    const { question, events, outcome, firstTokenMs, totalMs, isAskedAgain } = record;
    const turn = new Turn(String(question));
    turn.#silence();
    turn.record.firstTokenMs = typeof firstTokenMs === "number" ? firstTokenMs : null;
    turn.record.totalMs = typeof totalMs === "number" ? totalMs : null;
    turn.record.isAskedAgain = isAskedAgain === true;
    for (const event of events) turn.show(event);
    turn.end(outcome === "running" ? "stopped" : outcome);
    return turn;
  }

  get question() {
    return this.record.question;
  }

  /** The answer, as far as it has arrived. */
  get answer() {
    return this.record.events.map((event) => (event.type === "token" ? event.token : "")).join("");
  }

  /** Whether later questions may refer to it: it has an answer, if only that there is none, and is not repeated. */
  get isPartOfTheConversation() {
    return !this.record.isAskedAgain && (this.answer.trim() !== "" || this.#isNothingRelevant());
  }

  get sourceCount() {
    return this.#names.size;
  }

  /** @param {RagEvent} event */
  show(event) {
    this.#keep(event);
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
        return this.#showNote(event.message);
      case "done":
        this.record.totalMs ??= performance.now() - this.#startedAtMs;
        return this.#showTimings(event.model);
      case "error":
        return this.#showError(event);
    }
  }

  /**
   * No more events will follow.
   * @param {Outcome} outcome
   */
  end(outcome) {
    this.record.outcome = outcome;
    this.#answer.finish();
    this.#part("exchange").removeAttribute("aria-busy");
    if (outcome === "stopped") this.#part("timings").prepend(words.stopped(this.#hasText));
    this.#part("again").hidden = !this.#mayAskAgain();
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

  #mayAskAgain() {
    return this.record.outcome !== "done" && !this.#isNothingRelevant() && !this.record.isAskedAgain;
  }

  #isNothingRelevant() {
    return this.record.events.some((event) => event.type === "error" && event.code === "nothing_relevant");
  }

  /** @param {RagEvent} event */
  #keep(event) {
    const { events } = this.record;
    const last = events.at(-1);
    if (event.type === "token" && last?.type === "token") last.token += event.token;
    else if (event.type !== "status") events.push({ ...event });
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
    showSources(this.#part("sources"), sources, this.#prefix);
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

  /** @param {import("../client.js").CitationsEvent} event */
  #showCitations({ citations, unknown, unsupported }) {
    markCited(
      this.#part("sources"),
      citations.map(({ n }) => n),
    );
    if (unknown.length) this.#showNote(words.unknownCitations(unknown));
    if (!unsupported?.length) return; // missing in a conversation that the tab kept from an earlier version
    markUnsupported(this.#part("sources"), unsupported);
    this.#showNote(words.unsupportedCitations(unsupported));
  }

  /**
   * Shown below the answer once it has begun, so that text being read does not move.
   * @param {string} message
   */
  #showNote(message) {
    const item = document.createElement("li");
    item.textContent = message;
    this.#part(this.#hasText ? "afterword" : "notices").append(item);
  }

  /** @param {string} model */
  #showTimings(model) {
    this.#part("timings").textContent = words.timings(this.record.firstTokenMs, this.record.totalMs, model);
  }

  /** @param {import("../client.js").ErrorEvent} event */
  #showError(event) {
    const message = document.createElement("p");
    message.textContent = event.error;
    const box = this.#part("problem");
    box.classList.toggle("calm", event.code === "nothing_relevant"); // an answer rather than a failure
    box.replaceChildren(message);
    const advice = words.advice(event);
    if (!advice) return;
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = advice;
    box.append(hint);
  }

  /** @param {MouseEvent} event */
  #followCitation(event) {
    const link = /** @type {HTMLElement} */ (event.target).closest("a.citation");
    if (!(link instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    goToSource(this.#part("sources"), link, link.hash.slice(1));
  }

  /** Screen readers do not announce what was kept. */
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
