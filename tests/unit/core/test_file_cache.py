"""What was made of files is made again when they change, and only then."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.core.storage.file_cache import FileCache


def made(cache: FileCache, path, calls: list) -> str:
    """Ask for the text of a file, and note each reading of it."""

    def read() -> str:
        calls.append(path.name)
        return path.read_text() if path.exists() else "nothing"

    return cache.get(path, [path], read)


@pytest.mark.parametrize("change", ["longer", "same size", "replaced", "removed", "came"])
def test_a_change_of_any_kind_is_seen(tmp_path, change):
    cache, calls, path = FileCache(), [], tmp_path / "a"
    if change != "came":
        path.write_text("one")
    before = made(cache, path, calls)
    assert made(cache, path, calls) == before and len(calls) == 1
    if change == "removed":
        path.unlink()
    elif change == "replaced":
        times = os.stat(path)
        (tmp_path / "b").write_text("two")
        os.utime(tmp_path / "b", ns=(times.st_atime_ns, times.st_mtime_ns))
        (tmp_path / "b").replace(path)
    else:
        path.write_text({"longer": "three", "same size": "two", "came": "new"}[change])
        os.utime(path, ns=(1, 1))
    assert made(cache, path, calls) != before and len(calls) == 2


def test_one_of_several_files_is_enough(tmp_path):
    cache, files = FileCache(), [tmp_path / "a", tmp_path / "b"]
    assert cache.get("both", files, lambda: 1) == 1
    files[1].write_text("x")
    assert cache.get("both", files, lambda: 2) == 2


def test_no_more_is_kept_than_said_and_the_unused_goes_first(tmp_path):
    cache, calls = FileCache(2), []
    a, b, c = (tmp_path / name for name in "abc")
    for path in (a, b, a, c):
        made(cache, path, calls)
    assert calls == ["a", "b", "c"]
    made(cache, a, calls)
    assert calls == ["a", "b", "c"]
    made(cache, b, calls)
    assert calls == ["a", "b", "c", "b"]


def test_what_could_not_be_made_is_tried_again(tmp_path):
    cache = FileCache()

    def fail() -> int:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        cache.get("a", [tmp_path / "a"], fail)
    assert cache.get("a", [tmp_path / "a"], lambda: 1) == 1


def test_what_is_not_good_enough_is_not_kept_and_not_given(tmp_path):
    cache, path = FileCache(), tmp_path / "a"
    assert cache.get("a", [path], lambda: "rough", lambda value: value == "exact") == "rough"
    assert cache.get("a", [path], lambda: "rough") == "rough"  # who is content with less gets and keeps it
    assert cache.get("a", [path], lambda: "exact", lambda value: value == "exact") == "exact"
    assert cache.get("a", [path], lambda: "rough") == "exact"
    cache.clear()
    assert cache.get("a", [path], lambda: "rough") == "rough"


def test_threads_share_it(tmp_path):
    cache, paths = FileCache(8), [tmp_path / str(number) for number in range(20)]
    for path in paths:
        path.write_text(path.name)

    def ask(number: int) -> bool:
        path = paths[number % len(paths)]
        return cache.get(path, [path], path.read_text) == path.name

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(4000)))


def test_a_dropped_value_is_made_again(tmp_path):
    cache, calls = FileCache(), []
    made(cache, tmp_path / "a", calls)
    cache.drop(tmp_path / "a")
    made(cache, tmp_path / "a", calls)
    assert len(calls) == 2
