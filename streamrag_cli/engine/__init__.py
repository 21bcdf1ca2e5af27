"""The background engine. It keeps modules in memory, keeps stores and connections open, and answers over a Unix
socket.
"""
