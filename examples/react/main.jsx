import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useRAGStream } from "../../streamrag_cli/server/static/use-rag-stream.js";

// The address of the streamrag server: that of this page, or the parameter `?server=http://127.0.0.1:8421`.
const baseUrl = new URLSearchParams(location.search).get("server") ?? "";

function Ask() {
  const { answer, sources, status, error, timings, isStreaming, ask, stop } = useRAGStream({ baseUrl });
  const [question, setQuestion] = useState("");

  function submit(event) {
    event.preventDefault();
    if (question.trim()) ask(question);
  }

  return (
    <>
      <form onSubmit={submit}>
        <label>
          Question <input value={question} onChange={(event) => setQuestion(event.target.value)} />
        </label>
        <button>Ask</button>
        <button type="button" onClick={stop} disabled={!isStreaming}>
          Stop
        </button>
      </form>
      <p role="status">{status}</p>
      <p id="answer" style={{ whiteSpace: "pre-wrap" }}>
        {answer}
      </p>
      {error && (
        <p role="alert">
          {error.error} <em>{error.hint}</em>
        </p>
      )}
      <ol>
        {sources.map((source) => (
          <li key={source.chunk_id}>
            {source.source}: {source.content}
          </li>
        ))}
      </ol>
      {timings && <p>{Math.round(timings.total_ms)} ms</p>}
    </>
  );
}

/** Closing the box while an answer is being written stops the answer and the model. */
function App() {
  const [isOpen, setIsOpen] = useState(true);
  return (
    <>
      <button onClick={() => setIsOpen(!isOpen)}>{isOpen ? "Close" : "Open"}</button>
      {isOpen && <Ask />}
    </>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
