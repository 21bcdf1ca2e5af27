// @ts-check
/**
 * A React hook for `ragStream`: one question at a time, with its answer as state.
 *
 *     const { answer, sources, isStreaming, ask, stop } = useRAGStream();
 *
 * The stream is closed when it ends, by `stop`, by a new question and when the component unmounts. State is updated
 * with new tokens once per frame, so a thousand tokens do not cause a thousand renders.
 */

import { useCallback, useEffect, useRef, useState } from "react";
import { ragStream } from "./client.js";

/** @typedef {import("./use-rag-stream.js").RagAnswer} RagAnswer */
/** @typedef {import("react").Dispatch<import("react").SetStateAction<RagAnswer>>} SetAnswer */

/** @type {RagAnswer} */
const IDLE = Object.freeze({
  question: "",
  answer: "",
  sources: [],
  status: "idle",
  citations: [],
  unknownCitations: [],
  unsupportedCitations: [],
  notices: [],
  timings: null,
  model: null,
  error: null,
  isStreaming: false,
});

/**
 * @param {import("./client.js").RagOptions} [options] each question uses the newest options
 * @returns {import("./use-rag-stream.js").RagStream}
 */
export function useRAGStream(options = {}) {
  const [state, setState] = useState(IDLE);
  const latestOptions = useRef(options);
  const isMounted = useRef(false);
  const running = useRef(/** @type {Run | null} */ (null));

  useEffect(() => {
    latestOptions.current = options;
  });

  useEffect(() => {
    isMounted.current = true;
    // StrictMode unmounts and remounts with the same state: the question of the first mount was aborted.
    if (running.current?.signal.aborted) setState(stopped);
    return () => {
      isMounted.current = false;
      running.current?.abort();
    };
  }, []);

  const ask = useCallback(
    /**
     * @param {string} question
     * @param {Omit<import("./client.js").RagOptions, "signal">} [overrides]
     */
    async (question, overrides) => {
      running.current?.abort();
      const run = new Run(setState);
      running.current = run;
      // A child's effect may ask before this component's own effect has run; by the next microtask both have run.
      await Promise.resolve();
      if (!isMounted.current || run.signal.aborted) return;
      setState({ ...IDLE, question, status: "connecting", isStreaming: true });
      await run.follow(question, { ...latestOptions.current, ...overrides });
    },
    [],
  );

  const stop = useCallback(() => {
    running.current?.flush();
    running.current?.abort();
    setState(stopped);
  }, []);

  const reset = useCallback(() => {
    running.current?.abort();
    setState(IDLE);
  }, []);

  return { ...state, ask, stop, reset };
}

/** One question: applies its events to the state once per frame. After an abort it must not change the state. */
class Run extends AbortController {
  /** @type {import("./client.js").RagEvent[]} */
  #waiting = [];
  #frame = 0;
  #setState;

  /** @param {SetAnswer} setState */
  constructor(setState) {
    super();
    this.#setState = setState;
  }

  /**
   * @param {string} question
   * @param {import("./client.js").RagOptions} options
   */
  async follow(question, options) {
    const signal = options.signal ? AbortSignal.any([this.signal, options.signal]) : this.signal;
    for await (const event of ragStream(question, { ...options, signal })) {
      this.#waiting.push(event);
      this.#frame ||= requestAnimationFrame(() => this.flush());
    }
    this.flush(); // a hidden tab has no frames, and the end must not wait for one
    if (signal.aborted && !this.signal.aborted) this.#setState(stopped);
  }

  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const events = this.#waiting;
    this.#waiting = [];
    if (events.length && !this.signal.aborted) this.#setState((state) => events.reduce(applyEvent, state));
  }
}

/**
 * @param {RagAnswer} state
 * @returns {RagAnswer}
 */
function stopped(state) {
  return state.isStreaming ? { ...state, status: "stopped", isStreaming: false } : state;
}

/**
 * @param {RagAnswer} state
 * @param {import("./client.js").RagEvent} event
 * @returns {RagAnswer}
 */
function applyEvent(state, event) {
  switch (event.type) {
    case "status":
      return { ...state, status: event.status };
    case "sources":
      return { ...state, sources: event.sources };
    case "token":
      return { ...state, answer: state.answer + event.token };
    case "citations":
      return {
        ...state,
        citations: event.citations,
        unknownCitations: event.unknown,
        unsupportedCitations: event.unsupported,
      };
    case "notice":
      return { ...state, notices: [...state.notices, event] };
    case "done":
      return { ...state, status: "done", isStreaming: false, timings: event.timings, model: event.model };
    case "error":
      return { ...state, status: "error", isStreaming: false, error: event };
    default:
      return state;
  }
}
