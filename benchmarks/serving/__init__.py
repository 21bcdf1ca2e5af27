"""What the server itself costs, beside a bare application that only forwards the model's bytes.

    python -m benchmarks.serving

The model, the two servers and the client are processes of their own. The model writes each token by itself, as fast
as it is taken or at a pace; what it writes follows from a mark in the question, so the client knows every answer
to the letter.
"""
