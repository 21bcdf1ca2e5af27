"""The same tool as a tutorial writes it: typer, langchain-chroma, langchain-openai, imported at the top.

    python benchmarks/baseline.py ingest STORE BASE_URL DIR
    python benchmarks/baseline.py ask STORE BASE_URL QUESTION

It is what the other benchmarks are measured beside, so it has every advantage: the embedding comes from the same
server as the answer, at once, and costs no import of its own; the sources are bare lines.
"""

from pathlib import Path

import typer
from langchain_chroma import Chroma
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

app = typer.Typer()
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer from these sources alone, and cite them as [n].\n\n{sources}"), ("human", "{question}")]
)


def opened(store: Path, base_url: str) -> Chroma:
    # Without the check of lengths, which would load a tokenizer from the network.
    embedding = OpenAIEmbeddings(model="m", base_url=base_url, api_key="none", check_embedding_ctx_length=False)  # type: ignore[arg-type]
    return Chroma("documents", embedding_function=embedding, persist_directory=str(store))


@app.command()
def ingest(store: Path, base_url: str, folder: Path) -> None:
    """Cut every file each 1000 characters, embed, store."""
    texts, metadatas = [], []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_text("utf-8", "replace")
            for start in range(0, len(text), 1000):
                texts.append(text[start : start + 1000])
                metadatas.append({"source": path.name})
    opened(store, base_url).add_texts(texts, metadatas)


@app.command()
def ask(store: Path, base_url: str, question: str) -> None:
    """Sources, then the answer as it is written."""
    found = opened(store, base_url).similarity_search(question, k=5)
    for n, document in enumerate(found, start=1):
        print(f"[{n}] {document.metadata['source']}: {document.page_content[:80]!r}")
    model = ChatOpenAI(model="m", base_url=base_url, api_key="none", streaming=True)  # type: ignore[arg-type]
    sources = "\n\n".join(f"[{n}] {document.page_content}" for n, document in enumerate(found, start=1))
    for piece in (PROMPT | model).stream({"sources": sources, "question": question}):
        print(piece.content, end="", flush=True)
    print()


if __name__ == "__main__":
    app()
