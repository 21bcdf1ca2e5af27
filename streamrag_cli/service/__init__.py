"""Services, which answer the questions of every command, HTTP route and engine."""
