"""What a recorded answer says: its text, why it ended, and its counts of tokens."""

from dataclasses import dataclass

from studio.deploy.prompt_recorder.recorded_requests import LONGEST_ANSWER
from studio.inference.remote.error_text import ServerFault
from studio.inference.remote.stream import StreamAccumulator
from studio.inference.remote.wire import WireReader

ENDLESS = 10**9


@dataclass(frozen=True)
class AnswerFacts:
    """What an answer says; counts are None where it does not tell them. fault: the words of an error. is_whole: it
    says of itself that it is at its end."""

    text: str = ""
    finished: str = ""
    prompt_tokens: int | None = None
    tokens: int | None = None
    fault: str = ""
    is_whole: bool = False


def answer_facts(body: bytes, status: int) -> AnswerFacts:
    """Return what stands in the body of an answer, in whatever form it is; of an embedding there is no text."""
    stream, reader, fault = StreamAccumulator("", ENDLESS), WireReader(), ""
    try:
        for event in (*reader.feed(body), *reader.finish()):
            stream.feed(event)
    except ServerFault as told:
        fault = told.words
    except ValueError:  # no answer of a chat: its words, if it has some, are told
        fault = reader.words() if status >= 400 else ""
    if status >= 400:
        return AnswerFacts(fault=(fault or reader.words() or f"HTTP {status}")[:300])
    is_whole = reader.done or stream.is_done or bool(stream.reason)
    stream.end("stop")
    answer = stream.answer()
    return AnswerFacts(
        text=answer.text[:LONGEST_ANSWER],
        finished=stream.reason,
        prompt_tokens=answer.prompt_count,
        tokens=answer.tokens if stream.is_counted else None,
        fault=fault[:300],
        is_whole=is_whole,
    )
