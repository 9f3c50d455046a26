from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from runs.test_result import RESULT

from knas.errors import RunError, UsageError
from knas.runs import RunFolder, ScoreRow

SETTINGS = {"space": "nas-bench-201", "samples": 3, "control": False}
ROW = ScoreRow("a", 1.0, None, 0.1)


def make(path: Path) -> RunFolder:
    folder = RunFolder(path)
    with folder.opened(SETTINGS) as record:
        record.add_score("A", ROW)
    return folder


def test_checking_creates_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a")
    assert folder.check(SETTINGS) is False
    assert list(tmp_path.iterdir()) == []


def test_opened_again_it_holds_what_was_recorded(tmp_path: Path) -> None:
    folder = make(tmp_path / "runs" / "a")
    assert folder.check(SETTINGS) is True
    assert folder.finished() is None
    with RunFolder(folder.path).opened(SETTINGS) as record:
        assert record.scores() == [ROW]


def test_other_settings_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    before = folder.config.read_text()
    for attempt in (
        lambda: folder.check({**SETTINGS, "samples": 4}),
        lambda: folder.opened({**SETTINGS, "samples": 4}).__enter__(),
    ):
        with pytest.raises(UsageError, match="samples was 3 and is now 4; give another --run, or the old"):
            attempt()
    assert folder.config.read_text() == before
    with folder.opened(SETTINGS) as record:
        assert record.scores() == [ROW]


def test_free_settings_may_change(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    with folder.opened({**SETTINGS, "control": True}, free=("control",)):
        pass
    assert "control: true" in folder.config.read_text()


def test_finishing_leaves_the_files_of_the_design(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    with folder.opened(SETTINGS):
        folder.trials.mkdir()
        (folder.trials / "x.checkpoint").touch()
        folder.finish(RESULT)
    assert folder.finished() is not None
    assert {entry.name for entry in folder.path.iterdir()} == {
        "config.yaml",
        "search.sqlite",
        "result.json",
        "lock",
    }


def test_path_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="a is a file; give the name of a folder"):
        RunFolder(tmp_path / "a").check(SETTINGS)
    with pytest.raises(RunError, match="can't write in --run"):
        RunFolder(tmp_path / "a" / "b").opened(SETTINGS).__enter__()


def test_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"not empty and has no config\.yaml"):
        RunFolder(tmp_path).check(SETTINGS)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="can't write in --run"):
        RunFolder(tmp_path / "a").opened(SETTINGS).__enter__()
    tmp_path.chmod(0o700)


def test_unwritable_file_system() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here, where nobody may make a folder")
    with pytest.raises(RunError, match="can't write in --run /proc/runs"):
        RunFolder("/proc/runs").opened(SETTINGS).__enter__()


@pytest.mark.parametrize("with_config", [True, False])
def test_corrupt_record_is_named_first(tmp_path: Path, with_config: bool) -> None:
    folder = make(tmp_path / "a")
    folder.record.write_bytes(b"rubbish" * 100)
    if not with_config:
        folder.config.unlink()
    with pytest.raises(RunError, match=r"search\.sqlite"):
        folder.check(SETTINGS)


def test_a_half_written_row_of_a_killed_process_is_rolled_back(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA cache_size = 1')\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "for number in range(2000):\n"
        "    row = (str(number), '', 'a' * 200)\n"
        "    connection.execute('INSERT INTO score VALUES (?, ?, ?, 1.0, NULL, 0.0, 0)', row)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder.record)], check=False)
    assert folder.record.with_name("search.sqlite-journal").exists()
    assert folder.check(SETTINGS) is True
    with folder.opened(SETTINGS) as record:
        assert record.scores() == [ROW]


def test_second_process_is_told_and_the_lock_dies_with_the_first(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    script = (
        "import sys, time\n"
        "from knas.runs import RunFolder\n"
        "with RunFolder(sys.argv[1]).opened({'space': 'nas-bench-201', 'samples': 3, 'control': False}):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder.path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process is working in"):
            folder.opened(SETTINGS).__enter__()
        process.kill()
    with folder.opened(SETTINGS) as record:
        assert record.scores() == [ROW]


def test_a_look_does_not_disturb_a_foreign_database(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "search.sqlite")
    connection.execute("CREATE TABLE bookmark (url TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(RunError, match="another application"):
        RunFolder(tmp_path).check(SETTINGS)
