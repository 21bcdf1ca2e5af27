/** Options of a question. All are optional. */
export interface RagOptions {
  /** The server's address, such as `http://127.0.0.1:8000`. Default: the origin of the page. */
  baseUrl?: string;
  /** Number of sources. Default: the server's setting. */
  k?: number;
  collection?: string;
  /** Sources below this score, 0 to 1, are left out. Default: the server's setting. */
  minScore?: number;
  model?: string;
  /** Sent as `Authorization: Bearer`. Keys do not belong in public pages. */
  key?: string;
  /** Default true. Without sources there is no `sources` event. */
  withSources?: boolean;
  /** Cancels the question: the stream ends without `done` or `error`. */
  signal?: AbortSignal;
  /** Time without data after which the connection counts as lost. Default: 60,000; the server pings every 15,000. */
  silenceTimeoutMs?: number;
}

EVENTS

/**
 * Asks a question and yields events as they arrive. The last event is `done` or `error`, even if the server refused
 * the request or the connection was lost. Never reconnects. Leaving the loop or aborting `signal` stops the model.
 */
export function ragStream(query: string, options?: RagOptions): AsyncGenerator<RagEvent, void, void>;

/** Parses server-sent events from text that arrives in pieces of any size. */
export class EventStreamParser {
  /** Adds the next piece of the stream and returns the data of each event that it completes. */
  push(text: string): string[];
}
