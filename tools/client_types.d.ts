/** Restricts a question to some documents. */
export interface Filter {
  /** Patterns for names of documents as in the sources; a folder includes everything below it. */
  in?: readonly string[];
  /** Only files modified since this date or age, such as `7d`. */
  since?: string;
  /** Only these formats or suffixes, such as `pdf`. */
  format?: readonly string[];
  /** Only documents with all of these tags. */
  tag?: readonly string[];
}

/** Options for a question. All are optional. */
export interface RagOptions extends Filter {
  /** The server's address, such as `http://127.0.0.1:8421`. Default: the origin of the page. */
  baseUrl?: string;
  /** The number of sources. Default: the server's setting. */
  k?: number;
  collection?: string;
  /** Several collections, instead of `collection`. */
  collections?: readonly string[];
  /** Sources with a lower score (0 to 1) are omitted. Default: the server's setting. */
  minScore?: number;
  /** Whether sources include `matches`, the positions of the words to highlight. */
  matches?: boolean;
  model?: string;
  /** Earlier turns of the conversation, oldest first, at most 20. The server keeps no conversations. */
  history?: readonly Turn[];
  /** Sent as `Authorization: Bearer`. Do not put a key into a public page. */
  key?: string;
  /** Whether the server sends the events `sources` and `citations`. Default: true. */
  withSources?: boolean;
  /** Aborting it stops the answer: the stream ends without `done` or `error`. */
  signal?: AbortSignal;
  /** Idle time after which the connection counts as lost. Default: 60,000; the server pings every 15,000. */
  silenceTimeoutMs?: number;
}

/** An earlier question of a conversation and its answer. */
export interface Turn {
  question: string;
  answer: string;
}

EVENTS

export interface ErrorEvent {
  /** The HTTP status, if the server refused the request instead of sending a stream. */
  http_status?: number;
}

/**
 * Ask, and read the events as they arrive. The last one is always exactly one `done` or `error`, even if the server
 * refuses or the connection is lost. Never reconnects. Leaving the loop or aborting `signal` stops the model.
 */
export function ragStream(query: string, options?: RagOptions): AsyncGenerator<RagEvent, void, void>;

/** A parser of server-sent events whose text arrives in chunks of any size. */
export class EventStreamParser {
  /** Takes the next chunk of the stream and returns the data of each event that it completes. */
  push(text: string): string[];
}
