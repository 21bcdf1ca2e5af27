// @ts-check
/**
 * Counts the answers that arrive in other tabs.
 *
 * A browser opens at most six connections to a server over HTTP/1.1, and every answer in progress needs one of them.
 * The question of a seventh tab waits in the browser, which does not report this to the page. The tabs therefore ask
 * each other.
 */

const NAME = "streamrag streams";
const REPLY_TIME_MS = 200;
export const MAX_CONNECTIONS = 6;

/** The stream for a question in this tab. Until `close` is called, it replies to other tabs' counts. */
export class OpenStream {
  /** Whether the server has begun to reply. */
  hasBegun = false;
  // Only while it is needed: a browser does not keep a page with an open channel in memory for "Back".
  #channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(NAME) : null;
  #replies = 0;

  constructor() {
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data === "count" && this.hasBegun) this.#channel?.postMessage("one");
      if (data === "one") this.#replies += 1;
    });
  }

  /** The number of streams in other tabs that have begun. */
  async countOthers() {
    this.#replies = 0;
    this.#channel?.postMessage("count");
    await new Promise((resolve) => setTimeout(resolve, REPLY_TIME_MS));
    return this.#replies;
  }

  close() {
    this.#channel?.close();
    this.#channel = null;
  }
}
