// Compiled, not run: checks the public types of the client and the hook.
import { ragStream, type RagEvent, type Turn } from "../../streamrag_cli/server/static/client.js";
import { useRAGStream, type RagStream } from "../../streamrag_cli/server/static/use-rag-stream.js";

const EARLIER: Turn[] = [{ question: "How long is a trial?", answer: "14 days [1]." }];

export async function answerOf(question: string): Promise<string> {
  let answer = "";
  for await (const event of ragStream(question, { baseUrl: "http://127.0.0.1:8000", k: 3, history: EARLIER })) {
    if (event.type === "token") answer += event.token;
    if (event.type === "error") throw new Error(`${event.error} ${event.hint}`);
  }
  return answer;
}

export const ends = (event: RagEvent): boolean => event.type === "done" || event.type === "error";

export function places(): string[] {
  const rag: RagStream = useRAGStream({ collection: "manuals" });
  void rag.ask("How long is a trial?", { k: 2 });
  return rag.sources.map(({ n, source, page }) => `${n} ${source} ${page ?? ""}`);
}

// @ts-expect-error -- the question must be a string
ragStream(42);
// @ts-expect-error -- no such option
useRAGStream({ topK: 3 });
