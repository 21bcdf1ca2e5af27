/** Where to ask, and how. Everything is optional. */
export interface RagOptions {
  /** The server's address, such as `http://127.0.0.1:8000`. Default: where the page comes from. */
  baseUrl?: string;
  /** How many sources. Default: the server's setting. */
  k?: number;
  collection?: string;
  /** Sources below this score, 0 to 1, are left out. Default: the server's setting. */
  minScore?: number;
  model?: string;
  /** Sent as `Authorization: Bearer`. Keys do not belong in public pages. */
  key?: string;
  /** Default true. Without sources there is no `sources` event. */
  withSources?: boolean;
  /** Stops the question: the stream ends quietly, without `done` or `error`. */
  signal?: AbortSignal;
  /** Silence after which the connection counts as lost. Default: 60,000; the server pings every 15,000. */
  silenceTimeoutMs?: number;
}

EVENTS

/**
 * Ask, and read the events as they arrive. The last one is exactly one `done` or `error`, also where the server
 * refused or the connection was lost. Never reconnects. Leaving the loop or aborting `signal` stops the model.
 */
export function ragStream(query: string, options?: RagOptions): AsyncGenerator<RagEvent, void, void>;

/** Server-sent events from text in any pieces. */
export class EventStreamParser {
  /** Takes the next piece of the stream; returns the data of each event that it completes. */
  push(text: string): string[];
}
