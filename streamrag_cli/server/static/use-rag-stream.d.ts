import type { Citation, ErrorEvent, NoticeEvent, RagOptions, Source, Timings } from "./client.js";

/** The question being answered, or answered last, as far as it has come. */
export interface RagAnswer {
  readonly question: string;
  readonly answer: string;
  readonly sources: readonly Source[];
  readonly status: "idle" | "connecting" | "retrieving" | "generating" | "retrying" | "done" | "error" | "stopped";
  /** Known at the end. */
  readonly citations: readonly Citation[];
  /** Numbers that the answer cites and no source has. */
  readonly unknownCitations: readonly number[];
  readonly notices: readonly NoticeEvent[];
  readonly timings: Timings | null;
  readonly model: string | null;
  /** Set if the stream failed; `answer` is then what had arrived. */
  readonly error: ErrorEvent | null;
  readonly isStreaming: boolean;
}

export interface RagStream extends RagAnswer {
  /**
   * Ask; a question that is being answered is stopped. Resolves when the answer has ended, however it ended;
   * never rejects. The function stays the same over renders.
   */
  ask(question: string, overrides?: RagOptions): Promise<void>;
  /** Stop the answer, and the model with it; what has arrived stays. */
  stop(): void;
  /** Stop, and forget question and answer. */
  reset(): void;
}

/** Ask a streamrag server from a component. The newest `options` are used whenever a question is asked. */
export function useRAGStream(options?: RagOptions): RagStream;
