from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

import knas.doctor
import knas_search
from knas.cli import run
from knas.cli.failure import line_and_code
from knas.cli.options import proxy_options
from knas.errors import KnasError, RunError, UsageError
from knas.search import runner

SMALL = ["--samples", "4", "--top-k", "2", "--epochs", "1", "--channels", "4", "--cells-per-stage", "1"]


def failed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """The one line with which a command fails."""
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("error: ")
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--sampels 3", "--samples"),
        ("--samples many", "--samples"),
        ("--samples 0", "--samples"),
        ("--samples 3 --top-k 4", "--top-k"),
        ("--score-samples 1", "--score-samples"),
        ("--epochs 0", "--epochs"),
        ("--seed -1", "--seed"),
        ("--threads 0", "--threads"),
        ("--space nas-bench-210", "nas-bench-201"),
        ("--algorithm kans", "did you mean 'knas'"),
        ("--algorithm-option sample", "--algorithm-option 'sample' must be NAME=VALUE, such as seconds=600"),
        (
            "--algorithm-option sampels=3",
            "unknown option of algorithm knas 'sampels': did you mean 'samples'",
        ),
        ("--algorithm randm", "did you mean 'random'"),
        ("--algorithm random --top-k 3", "'random' has no top_k (--top-k)"),
        (
            "--algorithm te-nas --proxy naswot",
            "'te-nas' has proxies of its own; leave out proxy (--proxy) naswot",
        ),
        ("--algorithm random --proxy naswot", "'random' scores nothing; leave out proxy (--proxy) naswot"),
        ("--algorithm te-nas --of loss", "leave out the proxy's options (of)"),
        ("--algorithm-option samples=3", "give samples (--samples), no algorithm option"),
        ("--benchmark none.parquet", "there is no benchmark none.parquet"),
        ("benchmark import none.pth", "there is no file none.pth"),
        ("benchmark", "Missing command"),
        ("--proxy mmg", "mgm"),
        ("--proxy mgm --estimator fulll", "full"),
        ("--estimator full", "which has of, batch_norm, micro_batch, sample; proxy 'mgm' has it"),
        ("--proxy-option sample", "NAME=VALUE"),
        ("--proxy mgm --proxy-option smaple=3", "sample"),
        ("--estimator full --proxy-option estimator=split", "estimator a second time"),
        ("--initialization keiming", "kaiming"),
        ("--dataset no/such/folder/here", "no/such/folder/here"),
        ("--device cuba", "--device"),
        ("--model roberta-large", "space 'nas-bench-201' has no model (--model)"),
        ("--learning-rate 0", "has no learning_rate (--learning-rate)"),
        ("--plain", "has no plain (--plain)"),
        ("--space text --channels 4", "space 'text' has no channels (--channels)"),
        ("--space text --benchmark table.csv", "space 'text' has no benchmark (--benchmark)"),
        ("--space text --max-length 0", "max_length (--max-length) must be a whole number of at least 1"),
        ("rank --all --max-length 9", "has no max_length (--max-length)"),
        ("score 0 --text-column a", "has no text_columns (--text-columns)"),
        ("--score-samples 99999", "--score-samples"),
        ("--dataset digits score 0", "--dataset must come after 'score'"),
        ("--json score 0", "--json must come after 'score'"),
        ("scoer 3", "score"),
        ("score", "at least one architecture"),
        ("score 99999", "15624"),
        ("score |nor_conv_4x4~0|+|none~0|none~1|+|none~0|none~1|none~2|", "nor_conv_3x3"),
        ("score rubbish", "rubbish"),
        ("score --file no-such-file", "no-such-file"),
        ("rank", "nothing to rank: give --all, --samples N, --architectures FILE or --scores FILE"),
        ("rank --all --scores table.csv", "not several"),
        ("rank --scores table.csv", "--scores table.csv can't be read"),
        ("rank --scores table.csv --estimator full", "--estimator is about scoring"),
        ("rank --all --figures folder", "--figures needs a table: give --benchmark FILE"),
        ("rank --all --benchmark-dataset cifar10", "--benchmark-dataset needs a table"),
        ("rank --all --cell 7", "--cell names a cell of Figure 3"),
        ("rank --all --benchmark none.csv", "there is no benchmark none.csv"),
        ("rank --samples 2 --benchmark none.csv", "at least 3 architectures to compare, not 2"),
        ("rank --all --samples 3", "not several"),
        ("rank --samples 0", "--samples"),
        ("rank --architectures no-such-file", "no-such-file"),
        ("rank --all --space nas-bench-210", "nas-bench-201"),
        ("rank --all --score-samples 1", "--score-samples"),
        ("rank --all --proxy mmg", "did you mean 'mgm'"),
        ("rank --all --proxy mgm --proxy-option smaple=3", "sample"),
        ("rank --all --workers 0", "--workers"),
        ("rank --all --threads 0", "--threads"),
        ("rank --all --top -1", "--top"),
        ("rank --all --device cuba", "--device"),
        ("rank --all --output table.json", ".csv or .parquet"),
        ("rank --all --output no/table.csv", "no folder no"),
        ("--samples 3 rank --all", "--samples must come after 'rank'"),
    ],
)
def test_bad_arguments_are_one_line_with_code_2(
    arguments: str,
    text: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in failed(capsys, *arguments.split())
    assert list(tmp_path.iterdir()) == [], "nothing is written before the arguments are good"


@pytest.mark.parametrize("command", ["score --file", "rank --architectures"])
def test_a_bad_line_of_a_file_is_named(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "cells.txt"
    file.write_text("# two cells\n12\n\n|none~0|+|none~0|\n")
    text = failed(capsys, *command.split(), str(file))
    assert "cells.txt, line 4: architecture text must have the form" in text
    file.write_text("# none\n")
    assert "architecture" in failed(capsys, *command.split(), str(file))


def test_rank_prints_the_best_and_writes_the_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "cells.txt").write_text("0\n1\n2\n  3  \n")
    arguments = [
        "rank",
        "--architectures",
        str(tmp_path / "cells.txt"),
        *SMALL[-4:],
        "--run",
        str(tmp_path / "a"),
    ]
    assert run([*arguments, "--top", "2", "--output", str(tmp_path / "table.csv")]) == 0
    captured = capsys.readouterr()
    assert "ranked   4 architectures in 4 isomorphism classes\n" in captured.out
    assert "scoring 4/4" in captured.err
    assert captured.out.count("|+|") == 2 * 2, "two architectures, two of these in each"
    assert (tmp_path / "table.csv").read_text().count("\n") == 5
    assert "table.csv exists" in failed(capsys, *arguments, "--output", str(tmp_path / "table.csv"))
    assert run([*arguments, "--top", "0", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "cost" not in captured.out, "nothing was scored again"


def test_run_that_is_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert "is a file" in failed(capsys, *SMALL, "--run", str(tmp_path / "a"))


def test_corrupt_record(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "search.sqlite").write_text("rubbish" * 100)
    assert "search.sqlite" in failed(capsys, *SMALL, "--run", str(tmp_path), code=1)
    assert (tmp_path / "search.sqlite").read_text() == "rubbish" * 100


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "--top-k" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert "torch" in capsys.readouterr().out
    assert run(["doctor"]) == 0
    assert "torch" in capsys.readouterr().out


def test_help_is_fast_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from knas.cli import run\n"
        "run(['--help'])\n"
        "heavy = {'datasets', 'sklearn', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
    assert time.perf_counter() - start < 20


def test_ctrl_c_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run_search", interrupted)
    for quiet in ([], ["--quiet"]):
        assert run([*SMALL, *quiet, "--run", str(tmp_path / "a")]) == 130
        captured = capsys.readouterr()
        assert (
            captured.err == f"interrupted: the same command goes on where it stopped, from {tmp_path / 'a'}\n"
        )


def test_ctrl_c_before_the_command_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("knas.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        knas_search.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def warn() -> str:
        warnings.warn("out of memory with 64 samples at once;\n going on with 32", stacklevel=2)
        return "fine"

    monkeypatch.setattr(knas.doctor, "doctor_text", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(["doctor"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "warning: out of memory with 64 samples at once; going on with 32\n"


def test_option_values_are_read_as_yaml() -> None:
    options = proxy_options(["sample=50", "unit=batch", "of-x=true"], {"estimator": "full", "of": None})
    assert options == {"sample": 50, "unit": "batch", "of_x": True, "estimator": "full"}


@pytest.mark.parametrize(
    ("error", "text", "code"),
    [
        (UsageError("a\nb"), "error: a b", 2),
        (RunError("a"), "error: a", 1),
        (KnasError(), "error: KnasError", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (MemoryError(), "error: out of memory; lower --batch-size", 1),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "error: out of memory",
            1,
        ),
        (RuntimeError("shapes"), "error: unexpected RuntimeError: shapes (KNAS_DEBUG=1", 1),
        (OSError(28, "No space left on device", "a/b"), "error: a/b No space left on device", 1),
    ],
)
def test_every_error_is_a_line_and_a_code(error: BaseException, text: str, code: int) -> None:
    line, found = line_and_code(error)
    assert line.startswith(text)
    assert found == code


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNAS_DEBUG", "1")
    with pytest.raises(UsageError):
        run(["--samples", "0"])
