// @ts-check
/**
 * Asks a streamrag server and yields its events as they arrive.
 *
 *     for await (const event of ragStream("When do I get my deposit back?")) {
 *       if (event.type === "token") write(event.token);
 *       if (event.type === "error") showError(event.error, event.hint);
 *     }
 *
 * The last event is always exactly one `done` or `error`. A refused request or a lost connection also becomes an
 * `error` event, so there is only one kind of failure to handle. A question is sent once: the client
 * never reconnects, because asking again would run the model again. Leaving the loop, or aborting `signal`, closes the
 * connection, and the server then stops the model.
 */

/** The server sends a ping if a stream is idle for 15 s. */
const SILENCE_TIMEOUT_MS = 60_000;
/** Statuses from a server or proxy that may be temporary. */
const TEMPORARY = [429, 502, 503, 504];

/**
 * @param {string} query
 * @param {import("./client.js").RagOptions} [options]
 * @returns {AsyncGenerator<import("./client.js").RagEvent, void, void>} Ends without a last event if
 *   `options.signal` is aborted.
 */
export async function* ragStream(query, options = {}) {
  const { signal, silenceTimeoutMs = SILENCE_TIMEOUT_MS } = options;
  if (signal?.aborted) return;
  const connection = new AbortController();
  const close = () => connection.abort();
  signal?.addEventListener("abort", close, { once: true });
  const timeout = new IdleTimeout(silenceTimeoutMs, close);
  try {
    yield* streamEvents(query, options, connection.signal, timeout);
  } catch (failure) {
    if (signal?.aborted) return;
    if (failure instanceof StreamFailure) yield failure.event;
    else if (timeout.isExpired) yield connectionLost(`: the server sent nothing for ${silenceTimeoutMs / 1000} s`);
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
 * @param {IdleTimeout} timeout
 * @returns {AsyncGenerator<import("./client.js").RagEvent, void, void>}
 */
async function* streamEvents(query, options, signal, timeout) {
  const response = await timeout.with(request(query, options, signal));
  if (!isEventStream(response)) throw new StreamFailure(await timeout.with(errorOf(response)));
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const parser = new EventStreamParser();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await timeout.with(reader.read()).catch((failure) => {
      throw signal.aborted ? failure : new StreamFailure(connectionLost());
    });
    if (done) throw new StreamFailure(connectionLost());
    for (const data of parser.push(decoder.decode(value, { stream: true }))) {
      signal.throwIfAborted(); // the caller may have aborted between two events in one chunk
      const event = parseEvent(data);
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
  const { baseUrl = "", k, collection, collections, minScore, matches, model, history = [], key, withSources = true } = options;
  const { in: within, since, format, tag } = options;
  const path = withSources ? "/rag/stream-with-sources" : "/rag/stream";
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const earlier = history.length ? history : undefined; // a server without conversations refuses the field
  const filter = { in: within, since, format, tag };
  const body = JSON.stringify({ query, k, collection, collections, min_score: minScore, ...filter, matches, model, history: earlier });
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
    throw new StreamFailure(errorEvent("the server cannot be reached", "unreachable", "check that it is running, and ask again", true));
  }
}

/** @param {Response} response */
function isEventStream(response) {
  return response.status === 200 && /^text\/event-stream\b/i.test(response.headers.get("Content-Type") ?? "");
}

/**
 * Converts a response that is not a stream to the `error` event that ends the stream.
 * @param {Response} response
 */
async function errorOf(response) {
  const body = await response.json().catch(() => null);
  const { status } = response;
  const message = typeof body?.error === "string" ? body.error : `the server answered ${status} instead of a stream`;
  const code = typeof body?.code === "string" ? body.code : `http_${status}`;
  const event = {
    ...errorEvent(message, code, String(body?.hint ?? ""), TEMPORARY.includes(status)),
    http_status: status,
  };
  const wait_s = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return wait_s >= 0 ? { ...event, retry_after_s: wait_s } : event;
}

/**
 * @param {string} data
 * @returns {import("./client.js").RagEvent}
 */
function parseEvent(data) {
  try {
    const event = JSON.parse(data);
    if (typeof event?.type === "string") return event;
  } catch {
    // Handled below, like JSON of the wrong shape.
  }
  throw new StreamFailure(errorEvent("the server sent an invalid event", "malformed", "", true));
}

function connectionLost(why = "") {
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

/** An exception with the event that ends the stream. */
class StreamFailure extends Error {
  /** @param {import("./client.js").ErrorEvent} event */
  constructor(event) {
    super(event.error);
    this.event = event;
  }
}

/** A time limit on each wait for the server. Time that the caller spends on an event does not count. */
class IdleTimeout {
  isExpired = false;
  #limitMs;
  #onExpiry;

  /**
   * @param {number} limitMs
   * @param {() => void} onExpiry must make the pending promise fail
   */
  constructor(limitMs, onExpiry) {
    this.#limitMs = limitMs;
    this.#onExpiry = onExpiry;
  }

  /**
   * @template Value
   * @param {Promise<Value>} awaited
   */
  async with(awaited) {
    const timer = setTimeout(() => {
      this.isExpired = true;
      this.#onExpiry();
    }, this.#limitMs);
    try {
      return await awaited;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Parses server-sent events from text in any chunks. The cost is linear in the text, even with tiny chunks. */
export class EventStreamParser {
  #line = "";
  #afterCarriageReturn = false;
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text the next chunk of the stream
   * @returns {string[]} the data of each event that it completes
   */
  push(text) {
    /** @type {string[]} */
    const events = [];
    // A CR at the end of a chunk has already ended its line; a following LF belongs to it.
    const rest = this.#afterCarriageReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text) this.#afterCarriageReturn = text.endsWith("\r");
    const lines = rest.split(/\r\n|\n|\r/);
    const open = lines.pop() ?? "";
    for (const part of lines) {
      const line = this.#line + part;
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
