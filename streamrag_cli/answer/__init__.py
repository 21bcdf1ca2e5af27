"""From sources to an answer: prompt, chat model or quotes, citations; one stream of events."""
