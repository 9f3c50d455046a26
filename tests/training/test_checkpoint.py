from __future__ import annotations

from pathlib import Path

import pytest
import torch

from knas.errors import RunError
from knas.training.checkpoint import check_identity, load_checkpoint, save_checkpoint, state_digest

CPU = torch.device("cpu")
STATE = {
    "weights": {"a": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), "b": torch.tensor(7)},
    "history": [{"epoch": 1, "loss": 0.1 + 0.2}],
    "half": torch.ones(2, dtype=torch.bfloat16),
    "nothing": None,
}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.checkpoint"
    save_checkpoint(path, STATE)
    loaded = load_checkpoint(path, CPU)
    assert state_digest(loaded) == state_digest(STATE)
    assert loaded["history"] == STATE["history"]
    assert [file.name for file in path.parent.iterdir()] == ["a.checkpoint"]


def test_memory_format_survives(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "a", {"weight": weight})
    assert load_checkpoint(tmp_path / "a", CPU)["weight"].stride() == weight.stride()


@pytest.mark.parametrize("position", range(10))
def test_every_flipped_byte_is_found(tmp_path: Path, position: int) -> None:
    path = tmp_path / "a"
    save_checkpoint(path, STATE)
    content = bytearray(path.read_bytes())
    place = len(content) * position // 10
    content[place] ^= 0xFF
    path.write_bytes(content)
    try:
        loaded = load_checkpoint(path, CPU)
    except RunError:
        return
    # a byte that carries nothing: padding between the parts of the archive
    assert state_digest(loaded) == state_digest(STATE)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 nonsense", None])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a"
    save_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(RunError, match="corrupt, or no checkpoint of knas"):
        load_checkpoint(path, CPU)


@pytest.mark.parametrize("content", [[1, 2], {"a": torch.ones(1)}, torch.ones(1), {"format": "other"}])
def test_another_programs_file_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a")
    with pytest.raises(RunError, match="no checkpoint of knas"):
        load_checkpoint(tmp_path / "a", CPU)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.mkdir, (tmp_path / "owned",))  # type: ignore[return-value]

    torch.save({"format": Evil()}, tmp_path / "a")
    with pytest.raises(RunError):
        load_checkpoint(tmp_path / "a", CPU)
    assert not (tmp_path / "owned").exists()


def test_what_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/a can't be written"):
        save_checkpoint(tmp_path / "file" / "a", STATE)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no checkpoint"):
        load_checkpoint(tmp_path, CPU)


def test_the_difference_is_named() -> None:
    found = {"recipe": {"epochs": 3, "augment": True}, "seed": 0}
    check_identity(Path("x"), found, found)
    with pytest.raises(RunError, match=r"x was made with another recipe \(epochs=3, not 4\)"):
        check_identity(Path("x"), found, {"recipe": {"epochs": 4, "augment": True}})
    with pytest.raises(RunError, match=r"another seed \(0, not 1\)"):
        check_identity(Path("x"), found, {"seed": 1})
    with pytest.raises(RunError, match="another dataset"):
        check_identity(Path("x"), found, {"dataset": "abc"})
