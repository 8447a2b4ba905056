"""The chat on the starter, which takes its time: streaming, stopping, waiting, and giving memory back."""

import threading

import pytest
from answering_models import GREEDY, QUESTION, adapters_on, ask, targets_on
from conftest import STARTER, rest_slow

from studio.core.i18n import Problem
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling


@pytest.fixture(scope="module")
def everybody(tmp_path_factory) -> list[ModelTarget]:
    return targets_on(STARTER, adapters_on(STARTER, tmp_path_factory.mktemp("adapters")), precision="")


@pytest.fixture(scope="module")
def loaded() -> LocalEngine:
    return LocalEngine()


@pytest.fixture
def chat(loaded, everybody) -> LocalEngine:
    loaded.load(everybody)
    return loaded


def test_snapshots_grow_and_times_are_told(chat, everybody):
    seen = list(chat.compare(everybody[:3], [QUESTION] * 3, None, GREEDY))
    assert len(seen) > 5
    for column in range(3):
        texts = [answers[column].text for answers in seen]
        assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))
    last = seen[-1][0]
    assert last.first_token_s > 0 and last.tokens_per_s > 0 and last.finished


def test_stop_ends_within_a_token_and_the_next_question_is_answered(chat, everybody):
    stop, seen = threading.Event(), 0
    for answers in chat.compare(everybody, [QUESTION] * 4, None, Sampling(temperature=0, max_tokens=500), stop):
        if answers[0].tokens >= 3 and not stop.is_set():
            seen = answers[0].tokens
            stop.set()
    assert [answer.finished for answer in answers] == ["stopped"] * 4
    assert answers[0].tokens <= seen + 2 and answers[3].tokens == 0
    assert ask(chat, everybody[:2])[1].finished


def test_who_stops_reading_stops_the_answers(chat, everybody):
    answers = chat.compare(everybody[:2], [QUESTION] * 2, None, Sampling(temperature=0, max_tokens=5000))
    next(answers)
    answers.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "chat"]


def test_loading_waits_for_an_answer_under_way(chat, everybody):
    answers = chat.compare(everybody[:1], [QUESTION], None, Sampling(temperature=0, max_tokens=8))
    next(answers)
    thread = threading.Thread(target=chat.load, args=(everybody[:2],))
    thread.start()
    *_, last = answers
    thread.join()
    assert last[0].finished == "length"
    assert chat.targets() == everybody[:2]


@pytest.mark.parametrize("bits, share", rest_slow((4, 0.6), (8, 0.75)))
def test_fewer_bits_take_less_and_speak(bits, share):
    small, chat = (
        ModelTarget("small", STARTER, None, "chatml", bits=bits),
        LocalEngine(),
    )  # one of its own: the others' base stays where it is
    chat.load([small])
    answer = ask(chat, [small], Sampling(temperature=0, max_tokens=1), [{"role": "user", "content": "Hi"}])[0]
    assert answer.tokens and answer.text
    assert chat.memory_bytes() < share * STARTER.joinpath("model.safetensors").stat().st_size
    chat.unload()


def test_unload_from_another_thread_ends_the_answer_and_gives_the_memory_back(chat, everybody):
    freed, unloading = [], threading.Thread(target=lambda: freed.append(chat.unload()))
    for answers in chat.compare(everybody[:2], [QUESTION] * 2, None, Sampling(temperature=0, max_tokens=5000)):
        if answers[0].tokens >= 2 and unloading.ident is None:
            unloading.start()
    unloading.join()
    assert {answer.finished for answer in answers} <= {"stopped", "stop"}
    assert chat.memory_bytes() == 0 and chat.targets() == []
    on_a_gpu = freed[0].gpu_before - freed[0].gpu_after
    assert max(on_a_gpu, freed[0].memory_before - freed[0].memory_after) > 150e6
    with pytest.raises(Problem) as caught:
        ask(chat, everybody[:1])
    assert caught.value.key == "chat.not_loaded"
