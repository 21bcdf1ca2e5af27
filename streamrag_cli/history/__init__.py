"""The log of questions and answers, and the conversations in it."""
