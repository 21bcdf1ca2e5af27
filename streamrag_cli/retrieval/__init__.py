"""From a question to the chunks that bear on it: full text and vectors, fused."""
