"""A page is built for the language that somebody reads, and not before."""

import contextlib

from fastapi import FastAPI
from fastapi.testclient import TestClient

from studio.web.by_language import ByLanguage


class Pages:
    """Pages that say their language, and what became of them."""

    def __init__(self):
        self.built, self.alive = [], []

    def build(self, language: str) -> FastAPI:
        @contextlib.asynccontextmanager
        async def lifespan(_):
            self.alive.append(language)
            yield
            self.alive.remove(language)

        page = FastAPI(lifespan=lifespan)
        page.get("/")(lambda: language)
        self.built.append(language)
        return page


def asked(client, **headers) -> str:
    return client.get("/", headers=headers).json()


def test_the_other_language_is_built_when_it_is_asked_for_and_once():
    pages = Pages()
    with TestClient(ByLanguage(pages.build, None, "en")) as client:
        assert pages.built == pages.alive == ["en"]
        assert asked(client) == "en" and pages.built == ["en"]
        for _ in range(2):
            assert asked(client, cookie="a=b; studio_language=zh") == "zh"
        assert asked(client, **{"accept-language": "zh-CN,zh"}) == "zh"
        assert pages.built == pages.alive == ["en", "zh"]
    assert pages.alive == [], "a page that was built late has not ended"


def test_a_chosen_language_stands_before_that_of_the_browser_and_behind_the_cookie():
    pages = Pages()
    with TestClient(ByLanguage(pages.build, "zh", "zh")) as client:
        assert asked(client, **{"accept-language": "en"}) == "zh" and pages.built == ["zh"]
        assert asked(client, cookie="studio_language=en") == "en"
