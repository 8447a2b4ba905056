"""gradio_client, mended where it loses an answer.

It notes a question only after the server has taken it, and an answer that is there sooner is thrown away: the caller
waits for ever. And a question that is asked while the stream of the one before is being closed is never read. It is
seldom, and once stopped the tests for ten minutes.
"""

from concurrent.futures import wait

import gradio_client


class _Questions(set):
    def remove(self, question: str) -> None:
        self.discard(question)


class _Answers(dict):
    def __setitem__(self, question: str, answers: list) -> None:
        self.setdefault(question, answers)


class Client(gradio_client.Client):
    """A client that asks one question at a time and loses no answer."""

    def __init__(self, url: str, **more):
        super().__init__(url, verbose=False, **more)
        self.pending_event_ids = _Questions()
        self.pending_messages_per_event = _Answers()

    def predict(self, *values, api_name: str, **named):
        """Ask once the stream of the question before is closed, and return the answer."""
        if self.streaming_future is not None:
            wait([self.streaming_future], timeout=30)
        return super().predict(*values, api_name=api_name, **named)
