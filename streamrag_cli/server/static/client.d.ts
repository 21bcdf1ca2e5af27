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

/** A numbered passage that the answer may cite as `[n]`. */
export interface Source {
  n: number;
  source: string;
  page: number | null;
  line_start: number | null;
  line_end: number | null;
  title: string;
  /** An excerpt of at most 150 characters, followed by `...` if the passage is longer. */
  content: string;
  /** 0 to 1, higher is better. */
  score: number;
  chunk_id: string;
  /** The start and end, in code points, of each word of `content` that also occurs in the question. */
  matches?: [number, number][];
  /** The collection of the source, if several collections were searched. */
  collection?: string;
  /** The whole passage; only in the reply of `/search`. */
  text?: string;
  /** Other documents with almost the same passage. */
  also?: string[];
  url?: string;
}

export interface Citation {
  n: number;
  source: string;
  chunk_id: string;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
}

/** Milliseconds since the server accepted the question; null for a step that did not happen. */
export interface Timings {
  startup_ms: number | null;
  retrieval_ms: number | null;
  context_ms: number | null;
  request_ms: number | null;
  first_token_ms: number | null;
  total_ms: number | null;
  tokens_per_second: number | null;
  stages?: Record<string, number>;
}

export interface StatusEvent {
  type: "status";
  status: "retrieving" | "generating" | "retrying";
}

export interface QuestionAskedEvent {
  type: "question";
  n: number;
  thread: string;
  text: string;
  searched_for: string[];
}

export interface SourcesEvent {
  type: "sources";
  sources: Source[];
}

/** The concatenated tokens are the answer. */
export interface TokenEvent {
  type: "token";
  token: string;
}

/**
 * `unknown`: numbers that the answer cites although no source has them. `unsupported`: numbers of sources that do
 * not seem to support a sentence that cites them.
 */
export interface CitationsEvent {
  type: "citations";
  citations: Citation[];
  unknown: number[];
  unsupported: number[];
}

export interface NoticeEvent {
  type: "notice";
  message: string;
  code: string;
}

export interface DoneEvent {
  type: "done";
  done: true;
  finish_reason: string;
  model: string;
  usage: Usage | null;
  timings: Timings;
}

/**
 * The last event of a stream that failed. Besides the server's codes, the client uses `unreachable`,
 * `connection_lost`, `malformed`, and `http_STATUS` if the server sent no code.
 */
export interface ErrorEvent {
  type: "error";
  error: string;
  code: string;
  hint: string;
  retryable: boolean;
  /** Seconds to wait before asking again, if the server sent them. */
  retry_after_s?: number;
}

export type RagEvent = StatusEvent | QuestionAskedEvent | SourcesEvent | TokenEvent | CitationsEvent | NoticeEvent | DoneEvent | ErrorEvent;

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
