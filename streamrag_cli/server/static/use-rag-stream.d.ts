import type { Citation, ErrorEvent, NoticeEvent, RagOptions, Source, Timings } from "./client.js";

/** The current or last question, with the part of its answer that has arrived. */
export interface RagAnswer {
  readonly question: string;
  readonly answer: string;
  readonly sources: readonly Source[];
  readonly status: "idle" | "connecting" | "retrieving" | "generating" | "retrying" | "done" | "error" | "stopped";
  /** Set when the answer is complete. */
  readonly citations: readonly Citation[];
  /** Numbers that the answer cites although no source has them. */
  readonly unknownCitations: readonly number[];
  /** Numbers of sources that do not seem to support a sentence that cites them. */
  readonly unsupportedCitations: readonly number[];
  readonly notices: readonly NoticeEvent[];
  readonly timings: Timings | null;
  readonly model: string | null;
  /** Set if the stream failed; `answer` keeps the part that arrived. */
  readonly error: ErrorEvent | null;
  readonly isStreaming: boolean;
}

export interface RagStream extends RagAnswer {
  /**
   * Ask a question, and stop the previous one. Resolves when the answer has ended, successfully or not; never
   * rejects. The function is the same on every render.
   */
  ask(question: string, overrides?: RagOptions): Promise<void>;
  /** Stop the answer and the model; the part that arrived stays. */
  stop(): void;
  /** Stop, and clear the question and the answer. */
  reset(): void;
}

/** Ask a streamrag server from a component. Each question uses the newest `options`. */
export function useRAGStream(options?: RagOptions): RagStream;
