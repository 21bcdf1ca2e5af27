// @ts-check
/** The part of a turn that is saved for a reload. */

/** @typedef {import("../client.js").RagEvent} RagEvent */
/** @typedef {import("../client.js").Source} Source */
/** @typedef {"running" | "done" | "error" | "stopped"} Outcome */

export class TurnRecord {
  question;
  /** The collection that was asked; "" for the server's default. */
  collection;
  /** @type {import("../client.js").Filter} the documents that were asked; empty for all */
  filter;
  /** @type {RagEvent[]} the events so far without status events, and with consecutive tokens as one event */
  events = [];
  /** @type {Outcome} */
  outcome = "running";
  /** @type {number | null} milliseconds since the question was asked */
  firstTokenMs = null;
  /** @type {number | null} */
  totalMs = null;
  /** Whether a later turn repeats the question. */
  isAskedAgain = false;

  /**
   * @param {string} question
   * @param {string} collection
   * @param {import("../client.js").Filter} filter
   */
  constructor(question, collection, filter) {
    this.question = question;
    this.collection = collection;
    this.filter = filter;
  }

  /** @param {RagEvent} event */
  add(event) {
    const last = this.events.at(-1);
    if (event.type === "token" && last?.type === "token") last.token += event.token;
    else if (event.type !== "status") this.events.push({ ...event });
  }

  /** The part of the answer that has arrived, without thinking that was shown before it. */
  get answer() {
    const start = this.events.findLastIndex((event) => isEndOfThinking(event)) + 1;
    return this.events
      .slice(start)
      .map((event) => (event.type === "token" ? event.token : ""))
      .join("");
  }

  get isNothingRelevant() {
    return this.events.some((event) => event.type === "error" && event.code === "nothing_relevant");
  }

  get mayBeAskedAgain() {
    return this.outcome !== "done" && !this.isNothingRelevant && !this.isAskedAgain;
  }

  /** Whether the turn is sent with later questions: it has an answer or found nothing, and was not asked again. */
  get isPartOfTheConversation() {
    return !this.isAskedAgain && (this.answer.trim() !== "" || this.isNothingRelevant);
  }

  /**
   * The sources that the answer cites.
   * @returns {Source[]}
   */
  get citedSources() {
    const sources = this.events.flatMap((event) => (event.type === "sources" ? event.sources : []));
    const cited = this.events.flatMap((event) => (event.type === "citations" ? event.citations : []));
    return sources.filter((source) => cited.some(({ n }) => n === source.n));
  }
}

/**
 * Whether the tokens before this event are the model's thinking rather than its answer.
 * @param {RagEvent} event
 */
export function isEndOfThinking(event) {
  return event.type === "notice" && event.code === "thinking_shown";
}
