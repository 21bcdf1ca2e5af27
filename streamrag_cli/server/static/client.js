// @ts-check
/**
 * Asks a streamrag server and yields its events as they arrive.
 *
 *     for await (const event of ragStream("How long is a trial?")) {
 *       if (event.type === "token") write(event.token);
 *       if (event.type === "error") complain(event.error, event.hint);
 *     }
 *
 * The last event is exactly one `done` or `error`. What goes wrong on the way here, from a refusal to a lost
 * connection, is such an `error`, too, so there is one place to look. A question is asked once: nothing here
 * reconnects, because asking again costs again. Leaving the loop, or aborting `signal`, closes the connection,
 * and the server then stops the model.
 */

/** The server speaks every 15 s, if only to say that it lives. */
const SILENCE_TIMEOUT_MS = 60_000;
/** Answers of a server, or of a proxy before it, that may be others in a while. */
const TEMPORARY = [429, 502, 503, 504];

/**
 * @param {string} query
 * @param {import("./client.js").RagOptions} [options]
 * @returns {AsyncGenerator<import("./client.js").RagEvent, void, void>} Ends quietly, without a last event, if
 *   `options.signal` is aborted.
 */
export async function* ragStream(query, options = {}) {
  const { signal, silenceTimeoutMs = SILENCE_TIMEOUT_MS } = options;
  if (signal?.aborted) return;
  const connection = new AbortController();
  const close = () => connection.abort();
  signal?.addEventListener("abort", close, { once: true });
  const patience = new Patience(silenceTimeoutMs, close);
  try {
    yield* conversation(query, options, connection.signal, patience);
  } catch (failure) {
    if (signal?.aborted) return;
    if (failure instanceof Refusal) yield failure.event;
    else if (patience.isOver) yield lost(`: nothing came for ${silenceTimeoutMs / 1000} s`);
    else throw failure;
  } finally {
    signal?.removeEventListener("abort", close);
    close();
  }
}

/**
 * @param {string} query
 * @param {import("./client.js").RagOptions} options
 * @param {AbortSignal} signal
 * @param {Patience} patience
 * @returns {AsyncGenerator<import("./client.js").RagEvent, void, void>}
 */
async function* conversation(query, options, signal, patience) {
  const response = await patience.with(request(query, options, signal));
  if (!isEventStream(response)) throw new Refusal(await patience.with(refusalOf(response)));
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const parser = new EventStreamParser();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await patience.with(reader.read()).catch((failure) => {
      throw signal.aborted ? failure : new Refusal(lost());
    });
    if (done) throw new Refusal(lost());
    for (const data of parser.push(decoder.decode(value, { stream: true }))) {
      signal.throwIfAborted(); // the reader may have stopped between two events of one piece
      const event = parsed(data);
      yield event;
      if (event.type === "done" || event.type === "error") return;
    }
  }
}

/**
 * @param {string} query
 * @param {import("./client.js").RagOptions} options
 * @param {AbortSignal} signal
 */
async function request(query, options, signal) {
  const { baseUrl = "", k, collection, minScore, model, key, withSources = true } = options;
  const path = withSources ? "/rag/stream-with-sources" : "/rag/stream";
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const body = JSON.stringify({ query, k, collection, min_score: minScore, model });
  try {
    return await fetch(baseUrl.replace(/\/+$/, "") + path, {
      method: "POST",
      headers,
      body,
      signal,
      cache: "no-store",
    });
  } catch (failure) {
    if (signal.aborted) throw failure;
    throw new Refusal(errorEvent("the server cannot be reached", "unreachable", "try again in a moment", true));
  }
}

/** @param {Response} response */
function isEventStream(response) {
  return response.status === 200 && /^text\/event-stream\b/i.test(response.headers.get("Content-Type") ?? "");
}

/**
 * What the server said instead of a stream, as the event that ends one.
 * @param {Response} response
 */
async function refusalOf(response) {
  const said = await response.json().catch(() => null);
  const { status } = response;
  const message = typeof said?.error === "string" ? said.error : `the server answered ${status} instead of a stream`;
  const code = typeof said?.code === "string" ? said.code : `http_${status}`;
  const event = errorEvent(message, code, String(said?.hint ?? ""), TEMPORARY.includes(status));
  const wait_s = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return wait_s >= 0 ? { ...event, retry_after_s: wait_s } : event;
}

/**
 * @param {string} data
 * @returns {import("./client.js").RagEvent}
 */
function parsed(data) {
  try {
    const event = JSON.parse(data);
    if (typeof event?.type === "string") return event;
  } catch {
    // Said below: JSON of the wrong shape is no better than no JSON.
  }
  throw new Refusal(errorEvent("the server sent an event that makes no sense", "malformed", "", true));
}

function lost(why = "") {
  return errorEvent(`the connection was lost${why}`, "connection_lost", "ask again", true);
}

/**
 * @param {string} error
 * @param {string} code
 * @param {string} hint
 * @param {boolean} retryable
 * @returns {import("./client.js").ErrorEvent}
 */
function errorEvent(error, code, hint, retryable) {
  return { type: "error", error, code, hint, retryable };
}

/** Carries the event that ends a stream out of nested calls. */
class Refusal extends Error {
  /** @param {import("./client.js").ErrorEvent} event */
  constructor(event) {
    super(event.error);
    this.event = event;
  }
}

/** Waits for the server, not for ever. While the reader of the events takes its time, no time counts. */
class Patience {
  isOver = false;
  #limitMs;
  #giveUp;

  /**
   * @param {number} limitMs
   * @param {() => void} giveUp makes what is waited for fail
   */
  constructor(limitMs, giveUp) {
    this.#limitMs = limitMs;
    this.#giveUp = giveUp;
  }

  /**
   * @template Value
   * @param {Promise<Value>} awaited
   */
  async with(awaited) {
    const timer = setTimeout(() => {
      this.isOver = true;
      this.#giveUp();
    }, this.#limitMs);
    try {
      return await awaited;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Server-sent events from text that arrives in any pieces: at a cost that is linear in the text, however small
 * the pieces and long the lines are.
 */
export class EventStreamParser {
  #line = "";
  #afterCarriageReturn = false;
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text the next piece of the stream
   * @returns {string[]} the data of each event that it completes
   */
  push(text) {
    /** @type {string[]} */
    const events = [];
    // A CR at the end of a piece has ended its line already; the LF that may follow is a part of it.
    const rest = this.#afterCarriageReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text) this.#afterCarriageReturn = text.endsWith("\r");
    const lines = rest.split(/\r\n|\n|\r/);
    const open = lines.pop() ?? "";
    for (const piece of lines) {
      const line = this.#line + piece;
      this.#line = "";
      this.#take(line, events);
    }
    this.#line += open;
    return events;
  }

  /**
   * @param {string} line
   * @param {string[]} events
   */
  #take(line, events) {
    if (line === "") {
      if (this.#data.length) events.push(this.#data.join("\n"));
      this.#data = [];
    } else if (line === "data") {
      this.#data.push("");
    } else if (line.startsWith("data:")) {
      this.#data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
    }
  }
}
