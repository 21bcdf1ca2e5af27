"""Services, which answer questions for the commands, the HTTP routes and the engine."""
