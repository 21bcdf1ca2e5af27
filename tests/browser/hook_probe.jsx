/** Components that expose the hook to a test: `probe.rag` is its last return value. */

import { StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useRAGStream } from "../../streamrag_cli/server/static/use-rag-stream.js";

const baseUrl = new URLSearchParams(location.search).get("server");
const probe = { rag: null, renders: 0, asks: new Set() };
window.probe = probe;

function Probe() {
  probe.rag = useRAGStream({ baseUrl });
  probe.asks.add(probe.rag.ask);
  probe.renders += 1;
  return probe.rag.answer;
}

/** Asks in an effect of a child, which runs before the effects of its parent. */
function AsksAtOnce({ ask }) {
  useEffect(() => {
    ask("What is the fee for a berth?");
  }, [ask]);
  return null;
}

function ParentOfOneThatAsks() {
  probe.rag = useRAGStream({ baseUrl });
  return (
    <>
      {probe.rag.answer}
      <AsksAtOnce ask={probe.rag.ask} />
    </>
  );
}

const root = createRoot(document.getElementById("root"));
probe.mount = (name) => {
  const Component = { Probe, ParentOfOneThatAsks }[name];
  root.render(
    <StrictMode>
      <Component />
    </StrictMode>,
  );
};
probe.unmount = () => root.unmount();
