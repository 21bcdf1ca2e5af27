"""Measures the stages of one question."""

from collections.abc import Mapping
from time import perf_counter

from streamrag_cli.model import Question, Timings, Usage
from streamrag_cli.stages import Stages


class Clock:
    """Records when each stage of one question ends. Each stage ends once."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._stages = Stages(perf_counter())
        self.pieces = 0

    def end(self, stage: str, parts: Mapping[str, float] | None = None) -> None:
        """End `stage`: record the time since the end of the previous stage. `parts` breaks that time down, in ms."""
        self._stages.end(stage)
        for part, spent_ms in (parts or {}).items():
            self._stages.spent_ms[f"{stage}: {part}"] = spent_ms

    def token(self) -> None:
        self.pieces += 1
        if self.pieces == 1:
            self.end("first token")

    def timings(self, usage: Usage | None, *, is_written: bool = True) -> Timings:
        """The timings so far. `is_written` is False for quotes, for which tokens per second are not reported."""
        self.end("rest of the answer")
        ended_ms = {stage: (at - self._question.accepted_at) * 1000 for stage, at in self._stages.ended_at.items()}
        first_ms, total_ms = ended_ms.get("first token"), ended_ms["rest of the answer"]
        writing_s = (total_ms - (first_ms or 0.0)) / 1000
        count = usage.output_tokens if usage and usage.output_tokens else self.pieces
        return Timings(
            startup_ms=self._question.startup_ms,
            retrieval_ms=ended_ms.get("retrieval"),
            context_ms=ended_ms.get("context"),
            request_ms=ended_ms["context"] if "send" in ended_ms else None,
            first_token_ms=first_ms,
            total_ms=total_ms,
            tokens_per_second=count / writing_s if is_written and writing_s > 0 and self.pieces > 1 else None,
            stages=self._stages.spent_ms if self._question.with_stages else None,
        )
