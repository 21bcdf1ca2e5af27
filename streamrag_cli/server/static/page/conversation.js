// @ts-check
/** The turns on the page: which are sent with the next question, and which are saved for a reload. */

import { keep, kept } from "./tab-storage.js";
import { Turn } from "./turn.js";

/** The server accepts at most this many turns. */
const MAX_SENT_TURNS = 20;
/** Turns are left out in groups, so that a model server that caches the beginning of prompts can do so for some turns. */
const GROUP = 10;
/** Far below the server's limit on a request, in any script. */
const MAX_SENT_CHARS = 48_000;
const MAX_SENT_ANSWER_CHARS = 8_000;

export class Conversation {
  /** The collection that was chosen last; "" for the server's default. */
  collection = "";
  #root;
  #key;
  /** @type {Turn[]} */
  #turns = [];

  /**
   * @param {HTMLElement} root shows the turns
   * @param {string} key distinguishes pages from the same origin
   */
  constructor(root, key) {
    this.#root = root;
    this.#key = key;
  }

  get isEmpty() {
    return this.#turns.length === 0;
  }

  get last() {
    return this.#turns.at(-1);
  }

  /** @param {Turn} turn */
  add(turn) {
    this.#turns.push(turn);
    this.#root.append(turn.element);
  }

  /** @param {Turn} turn */
  remove(turn) {
    this.#turns = this.#turns.filter((each) => each !== turn);
    turn.element.remove();
  }

  clear() {
    this.#turns = [];
    this.#root.replaceChildren();
    this.save();
  }

  save() {
    keep(this.#key, { collection: this.collection, turns: this.#turns.map(({ record }) => record) });
  }

  /**
   * Replace the turns on the page by the saved ones. Turns that cannot be shown are left out.
   * @param {(turn: Turn) => void} prepare
   */
  restore(prepare) {
    const { collection, turns } = kept(this.#key);
    this.collection = String(collection ?? "");
    this.#turns = [];
    this.#root.replaceChildren();
    for (const record of Array.isArray(turns) ? turns : []) {
      try {
        const turn = Turn.restored(record);
        prepare(turn);
        this.add(turn);
      } catch {
        // Another version of this page saved the turn, or something else changed it.
      }
    }
  }

  /**
   * The newest turns, oldest first, without failed and repeated ones.
   * @returns {import("../client.js").Turn[]}
   */
  history() {
    const turns = this.#turns.filter((turn) => turn.isPartOfTheConversation);
    const leftOut = Math.max(0, Math.ceil((turns.length - MAX_SENT_TURNS) / GROUP) * GROUP);
    /** @type {import("../client.js").Turn[]} */
    const sent = [];
    let chars = 0;
    for (const turn of turns.slice(leftOut).toReversed()) {
      const { question } = turn;
      const answer = beginning(turn.answer);
      chars += question.length + answer.length;
      if (chars > MAX_SENT_CHARS) break;
      sent.unshift({ question, answer });
    }
    return sent;
  }
}

/**
 * The beginning of an answer. It never ends with half of a surrogate pair, which the server would refuse.
 * @param {string} answer
 */
function beginning(answer) {
  return answer.slice(0, MAX_SENT_ANSWER_CHARS).replace(/[\ud800-\udbff]$/, "");
}
