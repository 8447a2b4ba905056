"""A GGUF file becomes a Hugging Face folder that can be trained: whole, or not at all."""

import json
import shutil
import struct
from pathlib import Path

import pytest
import split_gguf
from conftest import ROOT, costs_at_most, is_sentence, wait_for

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.storage import atomic
from studio.core.workspace import Workspace
from studio.deploy.engines import ollama_server
from studio.deploy.served_source import Source
from studio.models.gguf import gguf_header, gguf_import, gguf_parts
from studio.models.library import library

HIDDEN, INNER, LAYERS = 64, 128, 2


@pytest.fixture
def empty(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


@pytest.fixture
def jobs(empty) -> Jobs:
    made = Jobs(empty)
    gguf_import.offer(empty, made)
    return made


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A Llama of random numbers with SmolLM's kind of tokenizer, as llama.cpp writes it."""
    return write_gguf(tmp_path_factory.mktemp("gguf") / "small.gguf")


def write_gguf(file: Path, architecture: str = "llama") -> Path:
    import numpy
    from gguf import GGUFWriter

    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(set(byte_letters())), "he", "hel"]
    writer = GGUFWriter(str(file), architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["h e", "he l"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}")
    random = numpy.random.default_rng(0)

    def add(name, *shape):
        writer.add_tensor(name, (random.standard_normal(shape) * 0.02).astype(numpy.float32))

    add("token_embd.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        for name, shape in {
            "attn_norm": (HIDDEN,),
            "ffn_norm": (HIDDEN,),
            "attn_q": (HIDDEN, HIDDEN),
            "attn_k": (HIDDEN // 2, HIDDEN),
            "attn_v": (HIDDEN // 2, HIDDEN),
            "attn_output": (HIDDEN, HIDDEN),
            "ffn_gate": (INNER, HIDDEN),
            "ffn_up": (INNER, HIDDEN),
            "ffn_down": (HIDDEN, INNER),
        }.items():
            add(f"blk.{layer}.{name}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def byte_letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return ByteLevel.alphabet()


def test_a_file_becomes_a_model_that_loads_and_reads_alike(empty, jobs, small):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job = gguf_import.start(empty, jobs, str(small), "made")
    done = jobs.wait(job.id, 150)
    assert done.state == "finished", (done.error, jobs.log(job.id))
    assert done.result == {"name": "made", "folder": str(empty.models / "made")}
    model = library.find(empty, "made")
    assert model.faults == () and model.dtype == "BF16" and model.params == gguf_import.parameters(small)
    assert json.loads((model.path / "config.json").read_text())["rms_norm_eps"] == 1e-5
    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(model.path), AutoTokenizer.from_pretrained(model.path)
    assert sum(one.numel() for one in loaded.parameters()) == model.params
    assert (
        tokenizer.decode(tokenizer.encode("hello 42")) == "hello 42"
        and tokenizer.eos_token == "<|im_end|>"
        and tokenizer.chat_template
    )
    assert sorted(path.name for path in empty.models.iterdir()) == ["made"]


def test_a_stopped_import_leaves_nothing_and_can_be_taken_up_again(empty, jobs, small):
    job = gguf_import.start(empty, jobs, str(small), "later")
    wait_for(lambda: list((empty.root / atomic.BEING_WRITTEN).glob("*/later")), every=0.02)
    jobs.cancel(job.id)
    assert jobs.wait(job.id, 240).state == "stopped"
    assert list(empty.models.iterdir()) == [] and library.models(empty) == []
    assert list((empty.root / atomic.BEING_WRITTEN).iterdir()) == []
    assert jobs.can_resume(job.id)


def test_a_file_that_is_being_imported_is_not_imported_again(empty, jobs, small):
    """Pressed twice, it was converted twice, and the second failed at its end."""
    first = gguf_import.start(empty, jobs, str(small), "twice")
    with pytest.raises(Problem) as told:
        gguf_import.start(empty, jobs, str(small), "Twice")
    assert told.value.key == "jobs.name_taken"
    jobs.cancel(first.id)
    assert jobs.wait(first.id, 240).state == "stopped"


def test_what_is_no_model_is_told_at_once(empty, jobs, small, tmp_path):
    (tmp_path / "text.gguf").write_text("this is no GGUF file at all, only its name says so")
    torn, cut = tmp_path / "torn.gguf", tmp_path / "cut.gguf"
    torn.write_bytes(small.read_bytes()[:5000])
    cut.write_bytes(small.read_bytes()[:-5000])
    (empty.models / "taken").mkdir()
    wrong = [
        ("", "x"),
        ("relative.gguf", "x"),
        (str(tmp_path), "x"),
        (str(tmp_path / "none.gguf"), "x"),
        (str(tmp_path / "text.gguf"), "x"),
        (str(torn), "x"),
        (str(cut), "x"),
        (str(small), ".."),
        (str(small), "a/b"),
        (str(small), "taken"),
    ]
    keys = []
    for file, name in wrong:
        with pytest.raises(Problem) as told:
            gguf_import.start(empty, jobs, file, name)
        assert is_sentence(str(told.value))
        keys.append(told.value.key)
    assert keys == ["gguf.no_file"] * 4 + ["gguf.broken"] * 3 + ["workspace.bad_name"] * 2 + ["models.name_taken"]
    assert [path.name for path in empty.models.iterdir()] == ["taken"] and jobs.all() == []


def header(keys: int = 0, tensors: int = 0, body: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + body


def key(name: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value


def array(inner: int, count: int, values: bytes = b"") -> bytes:
    return key("a", 9, struct.pack("<IQ", inner, count) + values)


def tensor(count: int = 1, kind: int = 0, name: bytes = b"t", dimensions: int = 1, offset: int = 0) -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack("<IQIQ", dimensions, count, kind, offset)


HOSTILE = {
    "nothing": b"",
    "no counts": b"GGUF\3\0\0\0",
    "other version": header().replace(b"\3", b"\7", 1),
    "long array": header(1, body=array(0, 10**5)),
    "endless array": header(1, body=array(0, 2**62)),
    "endless array of texts": header(1, body=array(8, 2**62, bytes(64))),
    "endless array of wide numbers": header(1, body=array(12, 2**61)),
    "an array of more than a model has": header(1, body=array(0, 5_000_000, bytes(5_000_000))),
    "endless text": header(1, body=key("a", 8, struct.pack("<Q", 2**63))),
    "endless text in an array": header(1, body=array(8, 1, struct.pack("<Q", 2**63))),
    "endless name": header(1, body=struct.pack("<Q", 2**63) + bytes(64)),
    "arrays in arrays": header(1, body=array(9, 1, struct.pack("<IQ", 9, 1) * 3000 + bytes(12))),
    "wide arrays in arrays": header(1, body=array(9, 2**40, struct.pack("<IQ", 9, 2**40) * 3)),
    "endless keys": header(2**62),
    "endless tensors": header(0, 2**62),
    "more keys than bytes": header(10**5, body=bytes(1000)),
    "unknown kind": header(1, body=key("a", 99, bytes(8))),
    "unknown kind in an array": header(1, body=array(99, 0)),
    "the same name twice": header(2, body=2 * key("a", 4, bytes(4))),
    "no text": header(1, body=key("a", 8, struct.pack("<Q", 2) + b"\xff\xff")),
    "the same tensor twice": header(0, 2, 2 * tensor() + bytes(64)),
    "a tensor of many sides": header(0, 1, tensor(dimensions=2**31)),
    "a tensor behind the end": header(0, 1, tensor(offset=2**62)),
    "an endless tensor": header(0, 1, tensor(2**62)),
    "a tensor of an unknown type": header(0, 1, tensor(kind=250) + bytes(64)),
    "a tensor of half a block": header(0, 1, tensor(31, kind=2) + bytes(64)),
    "an odd alignment": header(1, body=key("general.alignment", 4, struct.pack("<I", 3))),
    "endless parts": header(1, body=key("split.count", 10, struct.pack("<Q", 2**62))),
    "a count of parts that is none": header(1, body=key("split.count", 6, struct.pack("<f", float("nan")))),
    "parts as an array": header(1, body=key("split.count", 9, struct.pack("<IQ", 0, 1) + b"1")),
    "no architecture": header(),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_header_that_claims_more_than_is_there_is_told_at_once(empty, jobs, tmp_path, kind):
    file = tmp_path / "hostile.gguf"
    file.write_bytes(HOSTILE[kind])
    with costs_at_most(2), pytest.raises(Problem) as told:
        gguf_import.start(empty, jobs, str(file), "x")
    assert told.value.key == "gguf.broken"
    assert all(is_sentence(Words(language).tell(told.value)) for language in LANGUAGES)
    assert ollama_told(file) == ("gguf.broken" if kind not in ONLY_IMPORT else None)


ONLY_IMPORT = ("endless parts", "a count of parts that is none", "parts as an array", "no architecture")


def ollama_told(file: Path) -> str | None:
    """Return the key of the fault that Ollama's engine tells of a file, None where it takes it."""
    try:
        ollama_server.adds_bos(Source(file.name, None, file))
    except Problem as problem:
        return problem.key
    return None


@pytest.mark.parametrize("order", ["LITTLE", "BIG"])
def test_the_header_says_what_ggufs_own_reader_does(tmp_path, order):
    import numpy
    from gguf import GGMLQuantizationType, GGUFEndian, GGUFReader, GGUFWriter
    from gguf.constants import GGML_QUANT_SIZES

    file = tmp_path / "types.gguf"
    writer = GGUFWriter(str(file), "llama", endianess=GGUFEndian[order])
    for add, value in {
        "uint8": 200,
        "int8": -3,
        "uint16": 60_000,
        "int16": -300,
        "uint32": 2**31,
        "int32": -(2**20),
        "uint64": 2**60,
        "int64": -(2**60),
        "float32": 0.5,
        "float64": 0.1,
        "bool": True,
        "string": "说",
    }.items():
        getattr(writer, f"add_{add}")(f"of.{add}", value)
    writer.add_custom_alignment(64)
    writer.add_token_list([f"token {number}" for number in range(500)])
    writer.add_token_scores([0.5] * 500)
    for kind, (block, width) in GGML_QUANT_SIZES.items():
        if kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
            data = numpy.ones((2, block), dtype=kind.name.replace("F", "float"))
            writer.add_tensor(kind.name, data)
        elif block > 1:
            writer.add_tensor(kind.name, numpy.ones((2, width), dtype=numpy.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found, reader = gguf_header.read(file), GGUFReader(file)
    values = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    assert found.fields == {name: None if isinstance(value, list) else value for name, value in values.items()}
    assert found.tensors == {one.name: one.n_elements for one in reader.tensors} and len(found.tensors) > 15
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="ends before"):
        gguf_header.read(file)


def test_a_large_vocabulary_is_read_in_a_moment(tmp_path):
    file, text = tmp_path / "large.gguf", struct.pack("<Q", 7) + b"a token"
    texts, numbers = array(8, 700_000, 700_000 * text), key("b", 9, struct.pack("<IQ", 6, 262_144) + bytes(4 * 262_144))
    file.write_bytes(header(2, body=texts + numbers))
    with costs_at_most(6):
        assert gguf_header.read(file).fields == {"a": None, "b": None}


def test_an_architecture_that_is_not_known_is_told_and_leaves_nothing(empty, jobs, tmp_path):
    job = gguf_import.start(empty, jobs, str(write_gguf(tmp_path / "odd.gguf", "oddity")), "odd")
    done = jobs.wait(job.id, 150)
    assert done.state == "failed" and done.error["key"] == "gguf.failed"
    assert list(empty.models.iterdir()) == []


def test_no_room_on_the_disk_is_told(empty, jobs, small, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 1000, 1000))
    with pytest.raises(Problem, match="make room there"):
        gguf_import.start(empty, jobs, str(small), "x")


@pytest.mark.parametrize(
    "names", [split_gguf.usual, lambda number, count: f"{chr(122 - number)}.gguf"], ids=["usual", "odd"]
)
def test_a_part_is_not_the_whole_and_all_parts_are_joined(small, tmp_path, names):
    from gguf import GGUFReader

    parts = split_gguf.split(small, tmp_path, 3, names)
    assert {gguf_import.parameters(part) for part in parts} == {gguf_import.parameters(small)} and gguf_parts.parts(
        parts[2]
    ) == parts
    gguf_parts.join(parts, tmp_path / "joined")
    joined, whole = GGUFReader(tmp_path / "joined"), GGUFReader(small)
    assert {one.name: one.data.tobytes() for one in joined.tensors} == {
        one.name: one.data.tobytes() for one in whole.tensors
    }
    assert {name for name in joined.fields if "split." in name} == set()
    assert joined.fields["tokenizer.ggml.tokens"].contents() == whole.fields["tokenizer.ggml.tokens"].contents()
    away = parts[1].rename(tmp_path / "away")
    for number, part in ((1, parts[0]), (3, parts[2])):
        with pytest.raises(Problem, match=f"is part {number} of 3.* part 2 is not beside it"):
            gguf_import.parameters(part)
    away.rename(parts[1])


def test_the_part_that_somebody_brought_says_which_it_is(empty, jobs):
    case = ROOT / "tests" / "cases" / "split-gguf" / "tiny-00001-of-00002.gguf"
    with pytest.raises(Problem, match="part 1 of 2"):
        gguf_import.start(empty, jobs, str(case))


def test_all_parts_become_one_model_by_any_of_them(empty, jobs, small, tmp_path):
    parts = split_gguf.split(small, tmp_path, 2)
    job = gguf_import.start(empty, jobs, str(parts[1]))
    assert jobs.wait(job.id, 150).state == "finished" and job.facts["name"] == "tiny"
    model = library.find(empty, "tiny")
    assert model.params == gguf_import.parameters(small) and model.faults == () and not list(model.path.glob("*.gguf"))
