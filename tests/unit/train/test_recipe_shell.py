"""Commands as people paste them, from any shell: words, redirections, variables, files that the text itself writes."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.i18n import Problem
from studio.train.recipe.importing import documents, launchers, shell

WANTED = ["llamafactory-cli", "train", "--stage", "sft", "--max_steps", "20"]


def words(text: str) -> list[str]:
    [command] = shell.read(documents.plain(text)).commands
    return [word.text for word in command.words]


@pytest.mark.parametrize(
    "text",
    [
        "llamafactory-cli train --stage sft --max_steps 20",
        "llamafactory-cli train \\\n  --stage sft \\\n  --max_steps 20\n",
        "llamafactory-cli train \\\r\n  --stage sft \\\r\n  --max_steps 20\r\n",
        # blanks behind the backslash, as copying leaves them
        "llamafactory-cli train \\  \n  --stage sft \\ \t\n  --max_steps 20",
        "llamafactory-cli train ^\r\n  --stage sft ^\r\n  --max_steps 20",
        "llamafactory-cli train `\n  --stage sft `\n  --max_steps 20",
        "llamafactory-cli train \\\n  # --stage pt \\\n  --stage sft \\\n  --max_steps 20",
        "# llamafactory-cli train --stage pt\nllamafactory-cli train --stage sft --max_steps 20  # twenty",
        "REM a note\r\nllamafactory-cli train --stage sft --max_steps 20",
        "$ llamafactory-cli train --stage sft --max_steps 20",
        "!llamafactory-cli train --stage sft --max_steps 20",
        "(lf) user@host:~/lf$ llamafactory-cli train --stage sft --max_steps 20",
        "(base) llamafactory-cli train --stage sft --max_steps 20",
        "PS C:\\lf> llamafactory-cli train --stage sft --max_steps 20",
        "C:\\lf>llamafactory-cli train --stage sft --max_steps 20",
        "\ufeffllamafactory-cli\u00a0train --stage\u00a0sft --max_steps 20",
        "STAGE=sft\nN=20\nllamafactory-cli train --stage $STAGE --max_steps ${N}",
        'export STAGE=sft; llamafactory-cli train --stage "$STAGE" --max_steps ${N:-20}',
        "set STAGE=sft\r\nllamafactory-cli train --stage %STAGE% --max_steps 20",
        '$env:STAGE = "sft"\nllamafactory-cli train --stage $env:STAGE --max_steps 20',
        'ARGS="--stage sft --max_steps 20"\nllamafactory-cli train $ARGS',
        'ARGS=(\n  --stage sft  # how\n  --max_steps 20\n)\nllamafactory-cli train "${ARGS[@]}"',
        "A='--stage sft'\nA+=' --max_steps 20'\nllamafactory-cli train ${A}",
        "%%bash\nllamafactory-cli train --stage sft --max_steps 20",
    ],
)
def test_every_shell_gives_the_same_words(text):
    assert words(text) == WANTED


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (" > a.log 2>&1 &", ["> a.log", "2>&1"]),
        (" >> a.log", [">> a.log"]),
        (" &> a.log &", ["&> a.log"]),
        (" 2>&1 | tee a.log", ["2>&1"]),
        (" 2> err.txt", ["> err.txt"]),
        (" < /dev/null", ["< /dev/null"]),
        (">a.log", ["> a.log"]),
        ("; echo done", []),
        (" && shutdown", []),
        (" || true", []),
    ],
)
def test_redirections_pipes_and_what_follows_are_no_words_of_the_command(ending, told):
    first, *_ = shell.read("llamafactory-cli train --stage sft --max_steps 20" + ending).commands
    assert [word.text for word in first.words] == WANTED and first.redirections == told


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        (r"a\ b", "a b"),
        (r"C:\models\qwen", r"C:\models\qwen"),
        (r'"C:\models\qwen"', r"C:\models\qwen"),
        (r"..\data", r"..\data"),
        (r"\\server\share", r"\server\share"),
        ("--x='a b'", "--x=a b"),
        (r"--x=C:\a\b", r"--x=C:\a\b"),
        ("""'{"num_cycles": 2}'""", '{"num_cycles": 2}'),
        (r'"{\"num_cycles\": 2}"', '{"num_cycles": 2}'),
        ('{"num_cycles": 2}', '{"num_cycles": 2}'),
        ("模型/通义", "模型/通义"),
        ("a#b", "a#b"),
        ("'$HOME'", "$HOME"),
        ('""', ""),
        ("q_proj,v_proj", "q_proj,v_proj"),
    ],
)
def test_quotes_escapes_paths_and_json(written, meant):
    assert words(f"x {written} z") == ["x", meant, "z"]


def test_what_nothing_sets_is_kept_apart():
    [command] = shell.read("x $MODEL ${A}/b `date` $(date +%F) plain").commands
    assert [bool(word.unset) for word in command.words] == [False, True, True, True, True, False]


def test_a_file_that_the_text_writes_itself_is_read():
    script = shell.read("cat > my.yaml <<'EOF'\nstage: sft\n# --x\nEOF\nllamafactory-cli train my.yaml\n")
    assert script.files == {"my.yaml": "stage: sft\n# --x"} and [one.shown() for one in script.commands] == [
        "llamafactory-cli train my.yaml"
    ]
    assert shell.read("%%writefile a.yaml\nstage: sft\nmax_steps: 2").files == {"a.yaml": "stage: sft\nmax_steps: 2"}


@pytest.mark.parametrize("text", ["x 'a", 'x "a', "x --y='"])
def test_a_quote_that_stays_open_is_told(text):
    with pytest.raises(Problem) as told:
        shell.read(text)
    assert told.value.key == "recipe_import.open_quote"


@given(st.text(max_size=200))
def test_any_text_is_read_or_told(text):
    try:
        shell.read(documents.plain(text))
    except Problem as problem:
        assert problem.key == "recipe_import.open_quote"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip),
        min_size=1,
        max_size=6,
    )
)
def test_what_a_shell_quotes_comes_back(texts):
    assert words("x " + " ".join(shlex.quote(text) for text in texts)) == ["x", *texts]


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [
        ("deepspeed --num_gpus 2 --master_port 9911 src/train.py --stage sft", "training", ["--stage", "sft"]),
        ("accelerate launch --config_file f.yaml src/train_bash.py --stage sft", "training", ["--stage", "sft"]),
        (
            "torchrun --nproc_per_node 2 --nnodes=1 $(which llamafactory-cli) x.py --stage sft",
            "training",
            ["--stage", "sft"],
        ),
        ("python -m torch.distributed.run --nproc_per_node 8 src/train.py --stage sft", "training", ["--stage", "sft"]),
        ("nohup srun -N 1 --gres=gpu:1 python -m llamafactory.cli train --stage sft", "training", ["--stage", "sft"]),
        ("FORCE_TORCHRUN=1 lmf train --stage sft", "training", ["--stage", "sft"]),
        ("/opt/lf/bin/llamafactory-cli.exe train --stage sft", "training", ["--stage", "sft"]),
        ("uv run --prerelease=allow llamafactory-cli train --stage sft", "training", ["--stage", "sft"]),
        ("--stage sft", "training", ["--stage", "sft"]),
        ("python finetune.py --stage sft", "training", ["--stage", "sft"]),
        ("llamafactory-cli export a.yaml", "merge", []),
        ("python src/export_model.py --export_dir x", "merge", ["--export_dir", "x"]),
        ("llamafactory-cli chat a.yaml", "chat", []),
        ("API_PORT=8000 llamafactory-cli api a.yaml", "serve", []),
        ("llamafactory-cli webui", "board", []),
        ("llamafactory-cli version", "other", []),
        ("USE_MCA=1 llamafactory-cli train a.yaml", "megatron", []),
        ("USE_V1=1 llamafactory-cli train a.yaml", "v1", []),
    ],
)
def test_what_stands_before_the_program_belongs_to_its_launcher(text, kind, rest):
    [command] = shell.read(text).commands
    launch = launchers.of(command, {})
    assert (launch.kind, [word.text for word in launch.words]) == (kind, rest)


@pytest.mark.parametrize(
    "text",
    [
        "cd LLaMA-Factory",
        "pip install -e .",
        "git clone https://github.com/hiyouga/LLaMA-Factory.git",
        "tee a.log",
        "ls",
    ],
)
def test_other_commands_start_nothing(text):
    [command] = shell.read(text).commands
    assert launchers.of(command, {}) is None


@pytest.mark.parametrize(
    "text", ["bash train.sh", "./run.sh", "sbatch job.slurm", "train.bat", "CUDA_VISIBLE_DEVICES=0 sh scripts/sft.sh 2"]
)
def test_a_script_that_is_not_here_is_named(text):
    [command] = shell.read(text).commands
    assert launchers.of(command, {}).file.split(".")[-1] in ("sh", "slurm", "bat")


def test_devices_are_taken_and_the_other_variables_told_without_secrets():
    [command] = shell.read(
        "CUDA_VISIBLE_DEVICES=0,2 WANDB_API_KEY=abc NCCL_P2P_DISABLE=1 llamafactory-cli train --stage sft"
    ).commands
    launch = launchers.of(command, {})
    assert launch.devices == [0, 2] and [one.text for one in launch.left_out] == [
        "WANDB_API_KEY=…",
        "NCCL_P2P_DISABLE=1",
    ]
