// @ts-check
/** The page: sends questions and shows the events of the answers. The server makes all decisions. */

import { ragStream } from "./client.js";
import { collectionInAddress, showInAddress } from "./page/address.js";
import { Conversation } from "./page/conversation.js";
import { fillFilter, readFilter } from "./page/filter.js";
import { MAX_CONNECTIONS, OpenStream } from "./page/open-streams.js";
import { scrollTo } from "./page/scrolling.js";
import { Turn } from "./page/turn.js";
import * as words from "./page/words.js";

const baseUrl = new URL(".", document.baseURI).href;
const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (byId("ask"));
const question = /** @type {HTMLTextAreaElement} */ (byId("question"));
const collection = /** @type {HTMLSelectElement} */ (byId("collection"));
const filterFields = byId("filter");
const stopButton = /** @type {HTMLButtonElement} */ (byId("stop"));
const conversation = new Conversation(byId("conversation"), new URL(baseUrl).pathname);

/** @type {Exchange | null} */
let exchange = null;

/** After this time without any reply, the page shows why it waits. */
const SLOW_REPLY_MS = 2_000;
/** If an answer that has begun gets no text for this long, the page reports it. */
const STALLED_MS = 10_000;

/** The connection of the turn that is being answered. */
class Exchange {
  #connection = new AbortController();
  #stream = new OpenStream();
  #turn;
  #timer = 0;
  isRunning = true;

  /** @param {Turn} turn */
  constructor(turn) {
    this.#turn = turn;
    stopButton.hidden = false;
    showStatus(words.STATUS.connecting, true);
    this.#after(SLOW_REPLY_MS, () => this.#showWait());
  }

  /** @param {import("./client.js").Turn[]} history */
  async run(history) {
    const options = {
      baseUrl,
      collection: this.#turn.record.collection || undefined,
      ...this.#turn.record.filter,
      history,
      matches: true,
      signal: this.#connection.signal,
    };
    for await (const event of ragStream(this.#turn.question, options)) this.#show(event);
  }

  stop() {
    if (!this.isRunning) return;
    this.#connection.abort();
    this.#end("stopped", words.STATUS.stopped);
  }

  /** @param {import("./client.js").RagEvent} event */
  #show(event) {
    this.#stream.hasBegun = true;
    this.#turn.show(event);
    clearTimeout(this.#timer);
    if (event.type === "status") showStatus(this.#statusOf(event), true);
    if (event.type === "token") this.#after(STALLED_MS, () => showStatus(words.STATUS.stalled, true));
    if (event.type === "sources") conversation.save();
    if (event.type === "done") this.#end("done", words.STATUS.done);
    if (event.type === "error") this.#end("error", this.#turn.answer ? words.STATUS.cutOff : words.STATUS.error);
  }

  /**
   * @param {number} delayMs
   * @param {() => void} action is not called if an event or the end of the answer comes first
   */
  #after(delayMs, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, delayMs);
  }

  async #showWait() {
    const others = await this.#stream.countOthers();
    if (!this.isRunning || this.#stream.hasBegun) return;
    showStatus(words.waiting(others, MAX_CONNECTIONS), true);
    this.#after(SLOW_REPLY_MS, () => this.#showWait());
  }

  /** @param {import("./client.js").StatusEvent} event */
  #statusOf({ status }) {
    const count = this.#turn.sourceCount;
    return `${count ? `${words.sourcesFound(count)} ` : ""}${words.STATUS[status] ?? status}`;
  }

  /**
   * @param {import("./page/turn-record.js").Outcome} outcome
   * @param {string} status
   */
  #end(outcome, status) {
    this.isRunning = false;
    clearTimeout(this.#timer);
    this.#stream.close();
    this.#turn.end(outcome);
    conversation.save();
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

/** Adapt the layout to whether there are turns, which are shown above the question box. */
function showLayout() {
  document.body.classList.toggle("conversing", !conversation.isEmpty);
  byId("welcome").hidden = !conversation.isEmpty;
  byId("new").hidden = conversation.isEmpty;
  question.placeholder = conversation.isEmpty ? "" : words.FOLLOW_UP;
}

/** @param {string} text */
function ask(text) {
  exchange?.stop();
  const history = conversation.history();
  const isFirst = conversation.isEmpty;
  // The list of collections may not be loaded yet.
  const turn = new Turn(text, collection.value || conversation.collection, readFilter(filterFields));
  turn.onAskAgain(() => askAgain(turn));
  conversation.add(turn);
  conversation.save();
  showLayout();
  if (!isFirst) scrollTo(turn.element, "start");
  exchange = new Exchange(turn);
  exchange.run(history);
}

/** Ask the question in the box. */
function submit() {
  const text = question.value.trim();
  if (!text) return;
  question.value = "";
  // An on-screen keyboard would cover the answer.
  if (matchMedia("(pointer: coarse)").matches) question.blur();
  ask(text);
}

/**
 * Ask the question of a turn again, as the newest turn, with the current collection and filter. A partial answer of the
 * old turn stays on the page.
 * @param {Turn} turn
 */
function askAgain(turn) {
  if (!matchMedia("(pointer: coarse)").matches) question.focus();
  turn.markAskedAgain();
  if (!turn.answer) conversation.remove(turn);
  ask(turn.question);
}

function stop() {
  exchange?.stop();
}

function startNew() {
  stop();
  conversation.clear();
  showLayout();
  showStatus(words.STATUS.cleared, false);
  question.focus();
}

/** Show this tab's saved conversation. The collection in the address has priority over the saved one. */
function restore() {
  conversation.restore((turn) => turn.onAskAgain(() => askAgain(turn)));
  showLayout();
  conversation.last?.element.scrollIntoView({ block: "start", behavior: "instant" });
  fillFilter(filterFields, conversation.last?.record.filter ?? {});
  showFilter();
  choose(collectionInAddress() ?? conversation.collection);
  showInAddress(conversation.collection);
}

/** Show, even if the filter is closed, whether it restricts the next questions. */
function showFilter() {
  byId("filter-state").textContent = words.onlyIn(readFilter(filterFields)) ? ": on" : "";
}

/**
 * Ask the next questions in this collection.
 * @param {string} name "" for the server's default
 */
function choose(name) {
  conversation.collection = name;
  conversation.save();
  byId("collection-problem").hidden = true;
  for (const option of collection.options) option.selected = name ? option.value === name : option.defaultSelected;
}

async function offerCollections() {
  const response = await fetch(`${baseUrl}collections`).catch(() => null);
  if (!response?.ok) return; // the choice is optional; the error will show when a question is asked
  /** @type {{ collections: string[], default: string }} */
  const { collections, default: initial } = await response.json();
  if (collections.length > 1) {
    collection.replaceChildren(...collections.map((name) => new Option(name, name, name === initial)));
    byId("collection-choice").hidden = false;
  }
  const wanted = conversation.collection;
  choose(collections.includes(wanted) ? wanted : "");
  if (wanted === conversation.collection) return;
  showInAddress("");
  byId("collection-problem").textContent = words.noSuchCollection(wanted, collection.value || initial);
  byId("collection-problem").hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) stop();
});
stopButton.addEventListener("click", stop);
filterFields.addEventListener("input", showFilter);
byId("new").addEventListener("click", startNew);
collection.addEventListener("change", () => {
  choose(collection.selectedOptions[0].defaultSelected ? "" : collection.value);
  showInAddress(conversation.collection, { isNewEntry: true });
});
addEventListener("popstate", () => choose(collectionInAddress() ?? ""));
addEventListener("pagehide", stop);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) conversation.save(); // a hidden tab may be discarded without further events
});
addEventListener("pageshow", (event) => {
  if (event.persisted) restore(); // the tab may have had a later conversation on another copy of the page
});
new ResizeObserver(([{ target }]) => {
  document.documentElement.style.setProperty("--dock", `${/** @type {HTMLElement} */ (target).offsetHeight}px`);
}).observe(byId("dock"));
restore();
offerCollections();
