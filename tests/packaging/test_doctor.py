"""The report on an installation: complete, and never a crash."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest
import torch

from knas import doctor, native

TOPICS = ["knas", "build", "torch", "GPU", "CPU", "libraries", "optional"]
REASON = "torch 2.13.0+cpu is a build without CUDA; install a CUDA build of torch, then reinstall knas"


@pytest.fixture
def built(monkeypatch):
    """Sets what the extension says that it was compiled for."""

    def build(with_cuda: bool, reason: str = REASON) -> None:
        version = "13.0" if with_cuda else None
        info = native.BuildInfo("2.13.0", version, with_cuda, reason)
        monkeypatch.setattr(native, "build_info", lambda: info)

    return build


def found(topic: str) -> doctor.Finding:
    return next(finding for finding in doctor.report() if finding.topic == topic)


def test_report_covers_every_topic():
    report = doctor.report()
    assert [topic for topic, _, _ in report] == TOPICS
    assert all(finding for _, finding, _ in report)


def test_build_with_cuda(built):
    built(True)
    assert found("build") == ("build", "compiled for torch 2.13.0 with CUDA 13.0 kernels", "")


def test_build_without_cuda_says_why_and_what_to_do(built):
    built(False)
    _, finding, remedy = found("build")
    assert finding.endswith("without CUDA kernels: torch 2.13.0+cpu is a build without CUDA")
    assert remedy == "install a CUDA build of torch, then reinstall knas"


def test_an_extension_that_does_not_load_is_a_finding(monkeypatch):
    def build_info():
        raise ImportError("knas was compiled for torch 2.1.0 and this is torch 2.13.0: reinstall knas")

    monkeypatch.setattr(native, "build_info", build_info)
    assert "compiled for torch 2.1.0" in found("build").finding
    assert "compiled for torch 2.1.0" in doctor.version_text()


def test_one_broken_examination_leaves_the_others(monkeypatch):
    def broken():
        raise RuntimeError("driver too old")

    monkeypatch.setattr(torch, "get_num_threads", broken)
    assert found("CPU").finding == "RuntimeError('driver too old')"
    assert [topic for topic, _, _ in doctor.report()] == TOPICS


def test_a_cpu_torch_on_a_machine_with_a_card(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert "although this machine has one" in found("GPU").finding
    assert "CUDA build of torch" in found("GPU").remedy


@pytest.mark.parametrize("with_cuda", [True, False])
def test_a_visible_gpu(monkeypatch, built, with_cuda):
    built(with_cuda)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA H100")
    _, finding, remedy = found("GPU")
    assert finding.startswith("NVIDIA H100")
    assert ("unused" in finding) is not with_cuda
    assert bool(remedy) is not with_cuda


def test_cuda_torch_without_a_visible_gpu(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert found("GPU").finding == "torch sees none"


def test_more_threads_than_cores_get_a_remedy(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10_000)
    assert "OMP_NUM_THREADS=" in found("CPU").remedy


def test_missing_libraries_are_named_with_the_command(monkeypatch):
    def version(name):
        if name == "datasets":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    _, finding, remedy = found("libraries")
    assert "datasets not installed" in finding
    assert remedy == "pip install datasets"


def test_doctor_text_puts_each_remedy_under_its_finding(built):
    built(False)
    lines = doctor.doctor_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("build"))
    assert lines[at + 1].strip() == "-> install a CUDA build of torch, then reinstall knas"


@pytest.mark.parametrize("with_cuda", [True, False])
def test_version_text_tells_the_cuda_story(built, with_cuda):
    built(with_cuda)
    text = doctor.version_text()
    assert text.startswith(f"knas {importlib.metadata.version('knas')}\ncompiled for torch 2.13.0 with")
    assert ("to get them: install a CUDA build" in text) is not with_cuda
    assert f"running torch {torch.__version__}" in text


def test_importing_doctor_brings_none_of_the_heavy_libraries(tmp_path):
    heavy = ["datasets", "sklearn", "typer"]
    program = f"import sys, knas.doctor; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
