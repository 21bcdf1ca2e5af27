"""Measures the cost of the server, compared with a minimal application that only forwards the model's bytes.

    python -m benchmarks.serving

The model, the two servers and the client are separate processes. The model writes each token separately, as fast as it
is read or at a fixed pace. A mark in the question determines the answer, so the client can check every character.
"""
