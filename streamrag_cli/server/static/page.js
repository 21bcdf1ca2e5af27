// @ts-check
/** The page: sends questions and shows the events of the answers. All decisions are made by the server. */

import { ragStream } from "./client.js";
import { decorate } from "./page/links.js";
import { goToSource, markCited, showSources } from "./page/source-list.js";
import { StreamedMarkdown } from "./page/streamed-markdown.js";
import * as words from "./page/words.js";

const baseUrl = new URL(".", document.baseURI).href;
const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (byId("ask"));
const question = /** @type {HTMLTextAreaElement} */ (byId("question"));
const collection = /** @type {HTMLSelectElement} */ (byId("collection"));
const stopButton = /** @type {HTMLButtonElement} */ (byId("stop"));

/** @type {Exchange | null} */
let exchange = null;

/** One question and its answer. */
class Exchange {
  connection = new AbortController();
  isRunning = true;
  #startedAtMs = performance.now();
  /** @type {number | null} */
  #firstTokenMs = null;
  /** @type {Map<number, string>} */
  #names = new Map();
  #answer = new StreamedMarkdown(byId("answer"), (fragment) => decorate(fragment, this.#names));

  /** @param {string} text */
  constructor(text) {
    this.text = text;
    byId("asked").textContent = text;
    for (const id of ["problem", "notices", "afterword", "sources", "timings"]) byId(id).replaceChildren();
    byId("sources-section").hidden = true;
    byId("welcome").hidden = true;
    byId("result").hidden = false;
    byId("answer-section").setAttribute("aria-busy", "true");
    stopButton.hidden = false;
    showStatus(words.STATUS.connecting, true);
  }

  async run() {
    const options = { baseUrl, collection: collection.value || undefined, signal: this.connection.signal };
    for await (const event of ragStream(this.text, options)) this.#show(event);
  }

  stop() {
    this.connection.abort();
    this.#end(words.STATUS.stopped);
  }

  /** @param {import("./client.js").RagEvent} event */
  #show(event) {
    switch (event.type) {
      case "status":
        return showStatus(`${this.#sourceCount()}${words.STATUS[event.status] ?? event.status}`, true);
      case "sources":
        return this.#showSources(event.sources);
      case "token":
        return this.#showToken(event.token);
      case "citations":
        return this.#showCitations(event);
      case "notice":
        return this.#showNote(event.message);
      case "done":
        this.#end(words.STATUS.done);
        return this.#showTimings(performance.now() - this.#startedAtMs, event.model);
      case "error":
        this.#end(this.#firstTokenMs === null ? words.STATUS.error : words.STATUS.cutOff);
        return showError(event);
    }
  }

  #sourceCount() {
    return this.#names.size ? `${words.sourcesFound(this.#names.size)} ` : "";
  }

  /** @param {import("./client.js").Source[]} sources */
  #showSources(sources) {
    for (const { n, source } of sources) this.#names.set(n, source);
    showSources(byId("sources"), sources);
    byId("sources-section").hidden = sources.length === 0;
  }

  /** @param {string} token */
  #showToken(token) {
    if (this.#firstTokenMs === null) {
      this.#firstTokenMs = performance.now() - this.#startedAtMs;
      this.#showTimings(null, "");
    }
    this.#answer.append(token);
  }

  /** @param {import("./client.js").CitationsEvent} event */
  #showCitations({ citations, unknown }) {
    markCited(
      byId("sources"),
      citations.map(({ n }) => n),
    );
    if (unknown.length) this.#showNote(words.unknownCitations(unknown));
  }

  /**
   * Shown below the answer once it has begun, so that text being read does not move.
   * @param {string} message
   */
  #showNote(message) {
    const item = document.createElement("li");
    item.textContent = message;
    byId(this.#firstTokenMs === null ? "notices" : "afterword").append(item);
  }

  /**
   * @param {number | null} totalMs
   * @param {string} model
   */
  #showTimings(totalMs, model) {
    byId("timings").textContent = words.timings(this.#firstTokenMs, totalMs, model);
  }

  /** @param {string} status */
  #end(status) {
    this.isRunning = false;
    this.#answer.finish();
    byId("answer-section").removeAttribute("aria-busy");
    if (document.activeElement === stopButton) question.focus();
    stopButton.hidden = true;
    showStatus(status, false);
  }
}

/**
 * @param {string} status
 * @param {boolean} isBusy
 */
function showStatus(status, isBusy) {
  const line = byId("status");
  if (line.textContent !== status) line.textContent = status;
  byId("progress").classList.toggle("busy", isBusy);
}

/** @param {import("./client.js").ErrorEvent} event */
function showError(event) {
  const message = document.createElement("p");
  message.textContent = event.error;
  const box = byId("problem");
  box.classList.toggle("calm", event.code === "nothing_relevant"); // an answer rather than a failure
  box.replaceChildren(message);
  const advice = words.advice(event);
  if (!advice) return;
  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = advice;
  box.append(hint);
}

function ask() {
  const text = question.value.trim();
  if (!text || (exchange?.isRunning && exchange.text === text)) return; // a key pressed twice asks only once
  if (exchange?.isRunning) exchange.stop();
  exchange = new Exchange(text);
  // An on-screen keyboard would cover the answer.
  if (matchMedia("(pointer: coarse)").matches) question.blur();
  exchange.run();
}

function stop() {
  if (exchange?.isRunning) exchange.stop();
}

async function offerCollections() {
  const response = await fetch(`${baseUrl}collections`).catch(() => null);
  if (!response?.ok) return; // the choice is optional; the error will show when a question is asked
  const { collections, default: initial } = await response.json();
  if (collections.length < 2) return;
  collection.replaceChildren(
    ...collections.map((/** @type {string} */ name) => new Option(name, name, name === initial, name === initial)),
  );
  byId("collection-choice").hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) stop();
});
stopButton.addEventListener("click", stop);
byId("answer").addEventListener("click", (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest("a.citation");
  if (!(link instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  goToSource(byId("sources"), link, Number(link.hash.replace("#source-", "")));
});
addEventListener("pagehide", stop);
offerCollections();
