"""The baseline: a tool like streamrag, written as in a tutorial, with typer, langchain-chroma and langchain-openai.

    python benchmarks/baseline.py ingest STORE BASE_URL DIR
    python benchmarks/baseline.py ask STORE BASE_URL QUESTION

Other benchmarks compare streamrag with this tool, so it has every advantage: the model server also computes the
embeddings, immediately and without another import, and sources are printed as plain lines.
"""

from pathlib import Path

import typer
from langchain_chroma import Chroma
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

app = typer.Typer()
PROMPT = ChatPromptTemplate.from_messages(
    [("system", "Answer only from these sources, and cite them as [n].\n\n{sources}"), ("human", "{question}")]
)


def open_store(store: Path, base_url: str) -> Chroma:
    # The length check would download a tokenizer.
    embedding = OpenAIEmbeddings(model="m", base_url=base_url, api_key="none", check_embedding_ctx_length=False)  # type: ignore[arg-type]
    return Chroma("documents", embedding_function=embedding, persist_directory=str(store))


@app.command()
def ingest(store: Path, base_url: str, folder: Path) -> None:
    """Split every file into pieces of 1000 characters, and embed and store the pieces."""
    texts, metadatas = [], []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_text("utf-8", "replace")
            for start in range(0, len(text), 1000):
                texts.append(text[start : start + 1000])
                metadatas.append({"source": path.name})
    open_store(store, base_url).add_texts(texts, metadatas)


@app.command()
def ask(store: Path, base_url: str, question: str) -> None:
    """Print the sources, then the answer as it is written."""
    hits = open_store(store, base_url).similarity_search(question, k=5)
    for n, document in enumerate(hits, start=1):
        print(f"[{n}] {document.metadata['source']}: {document.page_content[:80]!r}")
    model = ChatOpenAI(model="m", base_url=base_url, api_key="none", streaming=True)  # type: ignore[arg-type]
    sources = "\n\n".join(f"[{n}] {document.page_content}" for n, document in enumerate(hits, start=1))
    for piece in (PROMPT | model).stream({"sources": sources, "question": question}):
        print(piece.content, end="", flush=True)
    print()


if __name__ == "__main__":
    app()
