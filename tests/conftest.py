"""Fixtures for every test: the shared data, the devices, and a number of threads that suits the machine."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import without_hypothesis

REPOSITORY = Path(__file__).resolve().parent.parent

# A machine with a GPU may lack these; the kernels' tests need none of them.
if importlib.util.find_spec("hypothesis") is None:
    without_hypothesis.install()
collect_ignore = [] if importlib.util.find_spec("typer") else ["test_cli.py", "packaging/test_doctor.py"]


def pytest_configure(config: pytest.Config) -> None:
    threads = os.environ.get("KNAS_TEST_THREADS") or min(4, len(os.sched_getaffinity(0)))
    torch.set_num_threads(int(threads))
    os.environ["PYTHONSAFEPATH"] = "1"  # see `elsewhere`


@pytest.fixture(autouse=True, scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run outside the source tree, whose knas/ has no extension and would hide the installed one.

    Python puts the current folder first on the path of the programs that tests start.
    """
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


def no_cuda_reason() -> str | None:
    """Why the tests marked `cuda` cannot run here; None when they can."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is a build without CUDA"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU"
    from knas.native import build_info

    info = build_info()
    return None if info.with_cuda else f"knas was installed without its CUDA kernels: {info.cuda_reason}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if marked and (reason := no_cuda_reason()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    without_hypothesis.uninstall()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Runs a test on the CPU and, where there is one, on the GPU."""
    return torch.device(request.param)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout (KNAS_SHARED_DATA names another); tests skip without it.

    On a CI machine that has the neighboring `shared` folder, data missing from it is a failure, not a skip.
    """
    named = os.environ.get("KNAS_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if folder.is_dir():
        return folder
    if os.environ.get("CI") == "true" and folder.parent.is_dir():
        pytest.fail(f"{folder} is missing, though {folder.parent} is there")
    pytest.skip(f"no data at {folder}; set KNAS_SHARED_DATA to the folder that holds it")
