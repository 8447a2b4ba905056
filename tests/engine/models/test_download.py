"""Downloads by the hubs' real clients from a hub on loopback that cuts, lies and refuses."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from conftest import ROOT, is_sentence, wait_for
from hub import COMMIT, Hub, safetensors, tiny_model
from modelscope_hub.config import HubConfig

from studio.core.i18n import Problem, Words
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.storage import folders
from studio.core.workspace import Workspace
from studio.models.hub import addresses, catalogue
from studio.models.hub.download import SETTINGS, Downloads, Request
from studio.models.hub.fetch import EVENT_PREFIX
from studio.models.hub.hubs import HubFile, open_hub
from studio.models.library import library

TOKEN = "hf_secret-of-a-person"
SOURCES = ("huggingface", "modelscope")
TINY = tiny_model()
TOTAL = sum(len(data) for path, data in TINY.items() if path != ".gitattributes")
SHARD = "model-00002-of-00002.safetensors"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with Hub({"maker/tiny": TINY}) as running:
        yield running


class Bench:
    """Jobs and downloads on a workspace of their own."""

    def __init__(self, folder, tries: int = 4):
        self.workspace = Workspace(folder).prepare()
        self.jobs = Jobs(self.workspace)
        self.downloads = Downloads(self.workspace, self.jobs, tries=tries, first_wait_s=0.05)

    def start(self, hub, source, repo="maker/tiny", token=None, **more):
        return self.downloads.start(Request(source, repo, endpoint=hub.url, **more), token)

    def end(self, job):
        assert not self.jobs.wait(job.id, 240).active, (job, self.jobs.log(job.id))
        return job

    def error(self, job) -> str:
        told = [self.jobs.status(self.end(job).id, Words(language)).error for language in ("en", "zh")]
        assert job.state == "failed" and all(is_sentence(text) for text in told), job
        return told[0]

    def on_disk(self) -> set[str]:
        return {
            str(path.relative_to(self.workspace.models)) for path in self.workspace.models.rglob("*") if path.is_file()
        }


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path / "workspace")


def assert_whole(bench, name):
    folder = bench.workspace.models / name
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    origin = json.loads(files.pop(".download.json"))
    assert files == {path: data for path, data in TINY.items() if path != ".gitattributes"}
    assert origin["files"].keys() == files.keys() and origin["bytes"] == TOTAL
    assert library.find(bench.workspace, name).params
    assert not (bench.workspace.models / ".incoming").exists()


def test_a_gated_model_arrives_whole_and_the_token_goes_nowhere_else(hub, bench):
    hub.tokens["maker/tiny"] = TOKEN
    started = [bench.start(hub, source, token=TOKEN, name=source) for source in SOURCES]
    for job in [bench.end(job) for job in started]:
        assert job.state == "finished", (job.error, bench.jobs.log(job.id))
        assert_whole(bench, job.facts["name"])
        assert (
            job.result["bytes"] == TOTAL == job.message["facts"]["done_bytes"]
            and job.result["files"] == 8
            and job.progress == 1
        )
    assert started[0].result["commit"] == COMMIT
    assert hub.served == 2 * TOTAL
    assert [headers.get("authorization") for headers in hub.gets("/storage/*")] == [None] * 4
    assert all(TOKEN not in str(headers) for headers in hub.gets("/storage/*"))
    for path in bench.workspace.root.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert "maker/tiny" in (bench.workspace.models / "huggingface" / catalogue.SOURCE_FILE).read_text()


MIRRORED = [("huggingface", "HF_ENDPOINT"), ("modelscope", "MODELSCOPE_ENDPOINT"), ("modelscope", "MODELSCOPE_DOMAIN")]


@pytest.mark.parametrize(("source", "variable"), MIRRORED)
def test_the_login_of_this_machine_does_not_go_to_a_mirror_that_the_environment_names(
    source, variable, hub, bench, monkeypatch, tmp_path
):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(TOKEN)
    HubConfig(config_dir=tmp_path / "home" / ".modelscope").save_token(TOKEN)
    monkeypatch.setenv(variable, hub.url)
    job = bench.downloads.start(Request(source, "maker/tiny"))
    assert bench.end(job).state == "finished", job.error
    assert hub.requests and TOKEN not in str(hub.requests)
    # What the person typed for this download goes where they asked.
    hub.tokens["maker/tiny"] = "typed"
    job = bench.downloads.start(Request(source, "maker/tiny", name="again"), "typed")
    assert bench.end(job).state == "finished", job.error
    assert TOKEN not in str(hub.requests)


def test_the_login_goes_to_the_hubs_own_host_alone():
    own = ["https://huggingface.co", "https://huggingface.co:443", "https://www.modelscope.cn", "https://modelscope.ai"]
    assert [address for address in own if any(addresses.gets_login(hub, address) for hub in SOURCES)] == own
    for other in (
        "http://huggingface.co",
        "https://huggingface.co:8443",
        "https://hf-mirror.com",
        "https://huggingface.co.example.org",
        "https://huggingface.co@example.org",
        "https://[mirror",
        "",
    ):
        assert not any(addresses.gets_login(hub, other) for hub in SOURCES), other
    assert not addresses.gets_login("huggingface", "https://modelscope.cn")
    assert open_hub("huggingface", "a/b", None, None, None).token is None  # the client's own login
    assert open_hub("huggingface", "a/b", None, "https://huggingface.co", None).token is None
    assert open_hub("huggingface", "a/b", None, "https://hf-mirror.com", None).token is False


@pytest.mark.parametrize("source", SOURCES)
def test_cuts_and_busy_answers_are_waited_out_and_no_byte_comes_twice(source, hub, bench):
    hub.fault("list", status=429, headers={"Retry-After": "0"}, times=1)
    hub.fault("*.safetensors", cut=700_000, times=2)
    hub.fault("config.json", status=500, times=2)
    job = bench.end(bench.start(hub, source))
    assert job.state == "finished", (job.error, bench.jobs.log(job.id))
    assert_whole(bench, "tiny")
    assert hub.served < TOTAL * 1.05
    assert [headers for headers in hub.gets("/storage/*") if "range" in headers]


@pytest.mark.parametrize("source", SOURCES)
def test_a_hub_that_stays_down_is_given_up_and_resume_fetches_only_the_rest(source, hub, tmp_path):
    bench = Bench(tmp_path / "workspace", tries=2)
    down = hub.fault(SHARD, status=503)
    assert "in 2 tries (HTTP 503)" in bench.error(job := bench.start(hub, source))
    assert library.models(bench.workspace) == [] and bench.downloads.arrived_bytes(job.id) > TOTAL / 3
    assert not (bench.workspace.models / "tiny").exists()
    down.times, hub.served = 0, 0
    assert bench.downloads.resume(job.id) is job
    assert bench.end(job).state == "finished"
    assert_whole(bench, "tiny")
    assert hub.served == len(TINY[SHARD])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9", "nothing answers at this address"),
        ("http://no.such.hub.invalid", "no server of this name"),
    ],
)
def test_a_hub_that_is_not_reached_is_told_without_the_words_of_a_library(
    tmp_path, monkeypatch, source, address, reason
):
    """And while it is tried again nothing is said of bytes, of which nobody knows yet."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    bench, told = Bench(tmp_path / "workspace", tries=2), []
    report = Job.report
    monkeypatch.setattr(
        Job, "report", lambda job, share, key, **facts: (told.append(key), report(job, share, key, **facts))
    )
    job = bench.downloads.start(Request(source, "maker/tiny", endpoint=address))
    text = bench.error(job)
    assert f"in 2 tries ({reason}" in text and "Error" not in text
    assert "downloads.not_listed" in told and "downloads.waiting" not in told


def test_what_cannot_be_a_model_is_told_in_a_sentence_and_leaves_nothing(hub, bench):
    plain = {"config.json": b"{}", "README.md": b"x"}
    hub.models |= {
        "maker/data": {"data.csv": b"1"},
        "maker/empty": plain,
        "maker/evil": {**TINY, "../../evil.txt": b"x"},
        "maker/gated": TINY,
        "maker/huge": {**plain, "model.safetensors": safetensors("w", bytes(10))},
    }
    hub.tokens["maker/gated"] = TOKEN
    hub.fault("model.safetensors", listed_size=10**15)
    wrong = {
        "maker/none": "no model maker/none",
        "maker/data": "no config.json",
        "maker/empty": "no weights",
        "maker/evil": "leads out",
        "maker/huge": "GB free",
        "maker/gated": "accepted its terms",
    }
    jobs = [
        (bench.start(hub, source, repo, name=f"{source}-{repo[6:]}"), text)
        for source in SOURCES
        for repo, text in wrong.items()
    ]
    jobs += [(bench.start(hub, source, revision="v9", name=source), "no revision “v9”") for source in SOURCES]
    for job, text in jobs:
        assert text in bench.error(job), job
    jobs = [
        (bench.start(hub, source, "maker/gated", token="other", name=f"{source}-other"), "Your token may not read")
        for source in SOURCES
    ]
    for source in SOURCES:
        for endpoint, text in [
            (hub.url + "/web", "does not answer as"),
            (hub.url + "/no", "404" if source == "huggingface" else "no model"),
            ("http://127.0.0.1:9", "did not arrive"),
        ]:
            name = f"{source}-{endpoint.strip(':/')[-1]}"
            hub.models[f"maker/{name}"] = TINY
            jobs.append((bench.downloads.start(Request(source, f"maker/{name}", name=name, endpoint=endpoint)), text))
    for job, text in jobs:
        assert text in bench.error(job), (job, bench.jobs.log(job.id))
    assert bench.on_disk() == set() and list(bench.workspace.models.iterdir()) == []
    assert hub.served < 10_000


@pytest.mark.parametrize("source", SOURCES)
def test_damaged_bytes_are_fetched_again_and_never_kept(source, hub, bench):
    hub.fault("model-00001*", corrupt=True, times=1)
    damaged = hub.fault(SHARD, corrupt=True)
    assert f"{SHARD} of maker/tiny arrived with other bytes" in bench.error(job := bench.start(hub, source))
    assert not [path for path in bench.on_disk() if SHARD in path or path.startswith("tiny")]
    damaged.times = 0
    assert bench.end(bench.downloads.resume(job.id)).state == "finished"
    assert_whole(bench, "tiny")


@pytest.mark.parametrize("source", SOURCES)
def test_a_size_that_is_not_the_listed_one_is_not_believed(source, hub, bench):
    hub.models["maker/long"] = TINY
    hub.fault(SHARD, listed_size=len(TINY[SHARD]) - 5, times=1)
    short = bench.start(hub, source)
    assert "other bytes" in bench.error(short)
    hub.fault(SHARD, listed_size=len(TINY[SHARD]) + 5, times=1)
    assert "other bytes" in bench.error(bench.start(hub, source, "maker/long"))
    assert library.models(bench.workspace) == []


def test_copies_of_the_weights_are_left_out_patterns_choose_and_pickles_are_warned_of(hub, bench, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", TOKEN)
    weights = TINY[SHARD]
    hub.models |= {
        "maker/copies": {
            "config.json": b'{"auto_map": {}}',
            "model.safetensors": weights,
            "pytorch_model.bin": weights,
            "original/consolidated.00.pth": weights,
            "model.gguf": weights,
        },
        "maker/pickle": {"config.json": b'{"model_type": "llama"}', "pytorch_model.bin": weights},
    }
    copies = bench.start(hub, "huggingface", "maker/copies")
    chosen = bench.start(
        hub, "modelscope", "maker/copies", name="chosen", include=("*.json", "*.bin", "original/"), exclude=("*.pth",)
    )
    pickle = bench.start(hub, "modelscope", "maker/pickle")
    assert [bench.end(job).state for job in (copies, chosen, pickle)] == ["finished"] * 3
    assert (copies.result["skipped_files"], copies.result["skipped_bytes"]) == (3, 3 * len(weights))
    assert [warning["key"] for warning in copies.result["warnings"]] == ["downloads.has_code"]
    assert [warning["key"] for warning in pickle.result["warnings"]] == ["downloads.pickle_only"]
    assert TOKEN not in str(hub.requests)  # a mirror is not given the login of this machine
    assert {path for path in bench.on_disk() if not path.endswith(".download.json")} == {
        "copies/config.json",
        "copies/model.safetensors",
        "chosen/config.json",
        "chosen/pytorch_model.bin",
        "pickle/config.json",
        "pickle/pytorch_model.bin",
    }


@pytest.mark.parametrize("source", SOURCES)
def test_pause_keeps_resume_goes_on_and_cancel_removes(source, hub, bench):
    hub.rate = 600_000
    job = bench.start(hub, source)
    wait_for(lambda: job.progress and job.progress > 0.25)
    facts = job.message["facts"]
    assert 300_000 < facts["bytes_per_s"] < 3_000_000 and 0 < facts["left_s"] < 20 and facts["total"] == "3.0 MB"
    bench.downloads.pause(job.id)
    assert bench.end(job).state == "stopped" and job.error is None
    kept = bench.downloads.arrived_bytes(job.id)
    assert kept > TOTAL / 4 and library.models(bench.workspace) == []
    time.sleep(0.3)
    before, hub.rate = hub.served, None
    assert bench.end(bench.downloads.resume(job.id)).state == "finished"
    assert_whole(bench, "tiny")
    assert hub.served - before <= TOTAL - kept

    hub.rate = 600_000
    again = bench.start(hub, source, name="again")
    wait_for(lambda: bench.downloads.arrived_bytes(again.id) > 100_000)
    bench.downloads.cancel(again.id, keep_files=True)
    bench.end(again)
    assert bench.downloads.arrived_bytes(again.id) > 100_000
    bench.downloads.cancel(again.id)
    assert again.state == "stopped" and {path.name for path in bench.workspace.models.iterdir()} == {"tiny"}


def test_a_job_that_is_no_download_is_told_as_none(bench):
    job = bench.jobs.start("other", "gguf.title", {"file": "/m.gguf", "name": "m"}, work=lambda job: None)
    bench.jobs.wait(job.id, 240)
    for asked in (bench.downloads.pause, bench.downloads.resume, bench.downloads.cancel, bench.downloads.arrived_bytes):
        with pytest.raises(Problem, match="no download") as told:
            asked(job.id)
        assert all(is_sentence(Words(language).tell(told.value)) for language in ("en", "zh"))
    assert job.state == "finished"


def test_the_same_model_twice_bad_names_and_bad_addresses_are_refused_at_once(hub, bench):
    hub.rate = 200_000
    job = bench.start(hub, "huggingface")
    for source, more, text in [
        ("huggingface", {"name": "other"}, "already being downloaded"),
        ("modelscope", {"name": "TINY"}, "already being downloaded"),
        ("modelscope", {"name": "../up"}, "cannot be used"),
        ("modelscope", {"repo": "maker/.."}, "owner/name"),
        ("modelscope", {"repo": "../tiny"}, "owner/name"),
        ("modelscope", {"repo": "https://x/y"}, "owner/name"),
        ("ftp", {}, "no model hub"),
    ]:
        with pytest.raises(Problem, match=text):
            bench.start(hub, source, **more)
    with pytest.raises(Problem, match="no address of a mirror") as caught:
        bench.downloads.start(Request("modelscope", "maker/tiny", endpoint="https://me:secret@host"))
    assert "secret" not in str(caught.value)
    for mirror in ("https://[mirror", "https://mirror:99999", "https://mirror:0", "https://a b", "mirror", "https://"):
        with pytest.raises(Problem, match="no address of a mirror"):
            Request("modelscope", "maker/tiny", endpoint=mirror).checked()
    # As a Chinese keyboard writes it.
    assert (
        Request("modelscope", "a/b", endpoint="https：／／10。0.0.1：8080/").checked().endpoint
        == "https://10.0.0.1:8080"
    )
    wait_for(lambda: job.progress)
    bench.downloads.cancel(job.id)
    assert bench.end(job).state == "stopped" and list(bench.workspace.models.iterdir()) == []
    (bench.workspace.models / "tiny").mkdir()
    with pytest.raises(Problem, match="already a model"):
        bench.start(hub, "huggingface")
    with pytest.raises(Problem, match="already a model"):
        bench.downloads.resume(job.id)


def test_a_model_arrives_under_the_older_name_of_one_that_is_gone(hub, bench):
    """It was fetched whole, and then had no place."""
    (bench.workspace.models / "tiny").symlink_to("renamed", target_is_directory=True)
    assert bench.end(bench.start(hub, "huggingface")).state == "finished"
    assert_whole(bench, "tiny")


def test_a_pasted_page_address_is_understood_and_a_file_too_large_for_http_is_told(tmp_path):
    face, scope, repo = "huggingface", "modelscope", "Qwen/Qwen2.5-0.5B"
    for source, page, revision in (
        (face, f"https://huggingface.co/{repo}", None),
        (face, f"https://huggingface.co/{repo}/tree/v1.0", "v1.0"),
        (face, f"huggingface.co/{repo}/blob/v1.0/config.json", "v1.0"),
        (face, f"https://hf-mirror.com/{repo}/resolve/refs%2Fpr%2F1/a.txt?download=true", "refs/pr/1"),
        (face, f"https://hf.co/{repo}/tree/refs/pr/1", "refs/pr/1"),
        (face, f"https://mirror.of.ours:8080/{repo}/tree/v1.0", "v1.0"),
        (scope, f"https://mirror.of.ours/models/{repo}", None),
        (scope, f"https://modelscope.cn/models/{repo}/files?x=1", None),
        (scope, f"https://www.modelscope.cn/models/{repo}/files?version=v1.0", "v1.0"),
        (scope, f"https://modelscope.cn/models/{repo}/resolve/v1.0/a.txt", "v1.0"),
        (scope, f"https://modelscope.ai/models/{repo}?Revision=v1.0", "v1.0"),
        (scope, f" {repo}/ ", None),
    ):
        found = Request(source, page).checked()
        assert (found.source, found.repo, found.revision, found.name) == (source, repo, revision, "Qwen2.5-0.5B"), page
        assert found.checked() == found
        assert Request(source, page, revision or "v2").checked().revision == (revision or "v2")
        assert found.endpoint == ("https://www.modelscope.ai" if "modelscope.ai" in page else None)
    for source, page, revision, text in (
        (scope, f"https://huggingface.co/{repo}", None, "is on Hugging Face, and ModelScope is chosen"),
        (face, f"www.modelscope.cn/models/{repo}", None, "is on ModelScope, and Hugging Face is chosen"),
        (face, f"https://huggingface.co/{repo}/tree/v1.0", "v2", "revision “v1.0”, and “v2”"),
        (face, f"https://huggingface.co/datasets/{repo}", None, "data set"),
    ):
        with pytest.raises(Problem, match=text) as told:
            Request(source, page, revision).checked()
        assert is_sentence(Words("zh").tell(told.value))
    with pytest.raises(Problem, match="more than 50 GB"):
        open_hub("huggingface", "maker/tiny", None, None, None).fetch(
            HubFile("model.safetensors", 60 * 10**9, None), tmp_path / "x"
        )


@pytest.mark.parametrize("source", SOURCES)
def test_a_full_disk_is_told_and_what_came_is_kept(source, hub, bench):
    files = bench.workspace.models / ".incoming" / f"{source}--maker--tiny" / "files"
    files.mkdir(parents=True)
    (files / f"{SHARD}.incomplete").symlink_to("/dev/full")
    assert "became full" in bench.error(job := bench.start(hub, source))
    assert not (bench.workspace.models / "tiny").exists()
    (files / f"{SHARD}.incomplete").unlink()
    assert bench.end(bench.downloads.resume(job.id)).state == "finished"
    assert_whole(bench, "tiny")


STUDIO = """
    import sys, time
    from pathlib import Path
    from studio.core.jobs import Jobs
    from studio.models.hub.download import Downloads, Request
    from studio.core.workspace import Workspace

    workspace = Workspace(Path(sys.argv[1]))
    jobs = Jobs(workspace)
    downloads = Downloads(workspace, jobs)
    for source in ("huggingface", "modelscope"):
        print(downloads.start(Request(source, "maker/tiny", endpoint=sys.argv[2], name=source)).id, flush=True)
    time.sleep(60)
"""


def test_after_a_kill_both_downloads_are_interrupted_and_resume_without_fetching_twice(hub, tmp_path):
    workspace = Workspace(tmp_path / "workspace").prepare()
    hub.rate = 300_000
    studio = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STUDIO), workspace.root, hub.url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    ids = [studio.stdout.readline().strip() for _ in range(2)]
    places = [workspace.models / ".incoming" / f"{source}--maker--tiny" / "files" for source in SOURCES]
    wait_for(lambda: all(folders.size_below(place) > TOTAL / 4 for place in places))  # both are at it
    children = psutil.Process(studio.pid).children()
    os.kill(studio.pid, signal.SIGKILL)
    studio.wait()
    assert psutil.wait_procs(children, 10)[1] == [] and len(children) == 2  # they end with the studio
    time.sleep(0.3)
    hub.rate = None

    bench = Bench(workspace.root)
    jobs = [bench.jobs.find(job) for job in ids]
    assert [job.state for job in jobs] == ["interrupted"] * 2 and library.models(workspace) == []
    kept, before = sum(bench.downloads.arrived_bytes(job) for job in ids), hub.served
    assert kept > TOTAL / 2
    for job in jobs:
        bench.downloads.resume(job.id)
    assert [bench.end(job).state for job in jobs] == ["finished"] * 2
    for source in SOURCES:
        assert_whole(bench, source)
    assert hub.served - before <= 2 * TOTAL - kept


SAYING = """
import sys, threading

from studio.models.hub.fetch import print_event

together = threading.Barrier(4)

def say(thread):
    for number in range(200):
        together.wait()
        print_event(waiting={"thread": thread, "number": number, "reason": "no such name"})

threads = [threading.Thread(target=say, args=(one,)) for one in range(4)]
for one in threads:
    one.start()
for one in threads:
    one.join()
"""


def test_what_several_files_say_at_once_comes_whole():
    done = subprocess.run(
        [sys.executable, "-c", SAYING], cwd=ROOT, capture_output=True, text=True, env={**os.environ, **SETTINGS}
    )
    lines = done.stdout.split("\n")[:-1]
    said = [json.loads(line.removeprefix(EVENT_PREFIX))["waiting"] for line in lines]
    assert {(one["thread"], one["number"]) for one in said} == {(one, two) for one in range(4) for two in range(200)}
