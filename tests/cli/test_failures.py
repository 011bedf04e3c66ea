"""Every way a run can fail: what is said, how it ends, what is left."""

import json
import os
import struct
import subprocess
import sys
import time

import pytest
from conftest import ONE_ROW, connector, interrupt, wait_for


def fails(result, code=1):
    assert result.code == code, result
    assert "SEVERE Fivetran-Tester-Process: Sync FAILED: " in result.out, result
    return result.out


def test_exception_names_the_authors_line_first(project):
    project.write(
        "connector.py", connector("rows = {}\nop.upsert('t', {'id': 1})\nreturn rows['missing']")
    )
    out = fails(project.debug())
    first = next(line for line in out.splitlines() if "SEVERE" in line)
    assert "connector.py:10: in update(): KeyError: 'missing'" in first
    assert out.index("connector.py:10") < out.index("Traceback")
    assert out.splitlines()[-1].endswith("Sync FAILED: KeyError: 'missing' (connector.py:10)")


def test_syntax_error(project):
    project.write("connector.py", "def update(:\n")
    out = fails(project.debug())
    assert "SyntaxError" in out
    assert "connector.py:1" in out


def test_no_connector_py(project):
    result = project.debug()
    assert result.code == 1
    assert "connector.py not found in" in result.err
    assert "this file is required to start a sync" in result.err
    project.write("inner/connector.py", ONE_ROW)
    assert "fivetran debug inner" in project.debug().err
    project.write("Connector.py", ONE_ROW)
    assert "mv Connector.py connector.py" in project.debug().err


def test_connector_object_of_another_name(project):
    project.write("connector.py", ONE_ROW.replace("connector = Connector", "myc = Connector"))
    out = fails(project.debug())
    assert "Connector object must be named 'connector', but found: 'myc'" in out


def test_no_connector_object(project):
    project.write("connector.py", "x = 1\n")
    assert "connector object not found" in fails(project.debug())


def test_missing_module(project):
    project.write("connector.py", "import not_installed_anywhere\n" + ONE_ROW)
    out = fails(project.debug())
    assert "No module named 'not_installed_anywhere'" in out
    assert "requirements.txt" in out


@pytest.mark.parametrize(
    "call, code",
    [("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit(3)", 3), ("sys.exit('no data')", 1)],
)
def test_sys_exit_is_a_failure(project, call, code):
    project.write(
        "connector.py", "import sys\n" + connector(f"op.upsert('t', {{'id': 1}})\n{call}")
    )
    out = fails(project.debug())
    assert "sys.exit" in out
    assert "connector.py:10" in out


def test_os_exit(project):
    project.write(
        "connector.py", "import os\n" + connector("op.upsert('t', {'id': 1})\nos._exit(7)")
    )
    assert "exited with status 7 (os._exit?)" in fails(project.debug())


def test_killed(project):
    body = "print('last words')\nop.upsert('t', {'id': 1})\nos.kill(os.getpid(), 9)"
    project.write("connector.py", "import os\n" + connector(body))
    out = fails(project.debug())
    assert "killed by signal 9 (out of memory?)" in out
    assert "last words" in out.split("the connector's last output:")[1]


def test_rows_after_the_last_checkpoint_are_discarded(project):
    project.write(
        "connector.py",
        connector(
            "op.upsert('t', {'id': 1})\nop.checkpoint({'n': 1})\nop.upsert('t', {'id': 2})\n1 / 0"
        ),
    )
    out = fails(project.debug())
    assert "discarded" in out
    assert project.tables()["t"]["rows"] == 1
    assert project.state() == {"n": 1}


def test_hung(project):
    project.write(
        "connector.py", "import time\n" + connector("op.upsert('t', {'id': 1})\ntime.sleep(600)")
    )
    begin = time.monotonic()
    out = fails(project.debug("--idle-timeout", "2"))
    assert time.monotonic() - begin < 20
    assert "2 s" in out or "2 seconds" in out


def test_hung_and_deaf(project):
    """A connector that ignores TERM is killed after ten seconds."""
    body = """
    import time
    op.upsert('t', {'id': 1})
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass
    """
    head = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    project.write("connector.py", head + connector(body))
    begin = time.monotonic()
    fails(project.debug("--idle-timeout", "1"))
    assert time.monotonic() - begin < 20


def test_children_of_the_connector_do_not_survive(project):
    body = """
    child = subprocess.Popen(["sleep", "600"])
    open("pid", "w").write(str(child.pid))
    """
    project.write("connector.py", "import subprocess\n" + connector(body))
    assert project.debug().code == 0
    pid = int((project.path / "pid").read_text())
    wait_for(
        lambda: not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read(),
        "child is gone",
    )


def test_the_connector_ends_with_the_command(project):
    body = "open('pid', 'w').write(str(os.getpid()))\nop.upsert('t', {'id': 1})\ntime.sleep(600)"
    project.write("connector.py", "import os, time\n" + connector(body))
    process = project.start("debug")
    wait_for(
        lambda: (project.path / "pid").exists() and (project.path / "pid").read_text(),
        "connector runs",
    )
    pid = int((project.path / "pid").read_text())
    process.kill()
    process.communicate()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "connector is gone", 3)
    project.write("connector.py", ONE_ROW)
    assert project.debug().code == 0


# ---- interrupted

ENDLESS = connector("""
    import time
    n = state.get('n', 0)
    while True:
        n += 1
        op.upsert('t', {'id': n})
        op.checkpoint({'n': n})
        time.sleep(0.02)
""")


def test_one_ctrl_c_stops_at_a_checkpoint(project):
    project.write("connector.py", ENDLESS)
    process = project.start("debug")
    wait_for(lambda: (project.path / "files/warehouse.db").exists(), "sync runs")
    time.sleep(0.5)
    interrupt(process)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, out
    assert "stopping at the next checkpoint" in err
    assert project.tables()["t"]["rows"] == project.state()["n"] > 0


def test_two_ctrl_c_stop_at_once(project):
    project.write(
        "connector.py",
        "import time\n" + connector("op.upsert('t', {'id': 1})\nopen('on', 'w')\ntime.sleep(600)"),
    )
    process = project.start("debug")
    wait_for(lambda: (project.path / "on").exists(), "sync runs")
    begin = time.monotonic()
    interrupt(process, 2)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - begin < 14


# ---- files and locks


def test_a_second_debug_at_once(project):
    project.write("connector.py", "import time\n" + connector("open('on', 'w')\ntime.sleep(600)"))
    process = project.start("debug")
    try:
        wait_for(lambda: (project.path / "on").exists(), "sync runs")
        begin = time.monotonic()
        second = project.debug()
        assert second.code == 4, second
        assert f"fivetran debug (process {process.pid}) is working on this project" in second.err
        assert time.monotonic() - begin < 2
        assert project.run("reset", "--yes").code == 4
        assert "is working on this project" in project.run("doctor").out
    finally:
        interrupt(process, 2)
        process.communicate(timeout=30)


def test_warehouse_held_by_another_program(project):
    """As a database viewer holds it."""
    project.write("connector.py", ONE_ROW)
    assert project.debug().code == 0
    path = project.path / "files/warehouse.db"
    code = "import fcntl, sys, time\nf = open(sys.argv[1], 'r+b')\nfcntl.lockf(f, fcntl.LOCK_EX)\n"
    code += "print('held', flush=True)\ntime.sleep(600)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        begin = time.monotonic()
        result = project.debug()
        out = fails(result, 4)
        assert str(holder.pid) in out
        assert "python" in out.lower()
        assert "Traceback" not in out
        assert time.monotonic() - begin < 10
        shown = project.run("show")
        assert shown.code == 4
        assert str(holder.pid) in shown.err
    finally:
        holder.kill()
        holder.wait()
    assert project.debug().code == 0


def set_storage_version(path, version):
    """The header of a file as a newer DuckDB (2.0 writes 999) leaves it."""
    head = bytearray(path.read_bytes()[:4096])
    struct.pack_into("<Q", head, 12, version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", head[8:]):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    struct.pack_into("<Q", head, 0, checksum)
    with open(path, "r+b") as f:
        f.write(head)


def test_warehouse_of_a_newer_duckdb(project):
    project.write("connector.py", ONE_ROW)
    assert project.debug().code == 0
    path = project.path / "files/warehouse.db"
    set_storage_version(path, 999)
    before = path.read_bytes()
    out = fails(project.debug(), 2)
    assert "made by a newer DuckDB" in out and "fivetran reset" in out
    assert "made by a newer DuckDB" in project.run("show").err
    assert path.read_bytes() == before
    set_storage_version(path, 64)
    assert project.debug().code == 0


def test_damaged_warehouse(project):
    project.write("connector.py", ONE_ROW)
    assert project.debug().code == 0
    path = project.path / "files/warehouse.db"
    with open(path, "r+b") as f:
        f.seek(100)
        f.write(b"x")
    out = fails(project.debug(), 2)
    assert "damaged" in out and "fivetran reset" in out


@pytest.fixture
def mounted(project):
    """The project on a small file system of its own."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", project.path], stderr=subprocess.DEVNULL
    )
    if done.returncode:
        pytest.skip("no right to mount a small file system")
    yield project
    subprocess.run(["umount", "-l", project.path], check=True)


def test_full_disk(mounted):
    body = """
    import os
    for n in range(400):
        op.upsert('t', {'id': n, 'x': os.urandom(50000)})
    op.checkpoint({'n': 1})
    """
    mounted.write("connector.py", connector(body))
    out = fails(mounted.debug())
    assert "space" in out
    mounted.write("connector.py", ONE_ROW)
    assert mounted.debug().code == 0


def test_read_only_folder(mounted):
    mounted.write("connector.py", ONE_ROW)
    subprocess.run(["mount", "-o", "remount,ro", mounted.path], check=True)
    result = mounted.debug()
    assert result.code == 1, result
    assert "Read-only file system" in result.err
    assert "writable" in result.err


def test_memory_limit_and_durable_checkpoints_are_taken(project):
    project.write("connector.py", ONE_ROW)
    assert project.debug("--memory-limit", "256M", "--durable-checkpoints").code == 0


def test_print_is_shown_and_a_hint_given_once(project):
    project.write("connector.py", connector("print('from', 'print')\nop.upsert('t', {'id': 1})"))
    out = project.debug().out
    assert "from print\n" in out
    assert out.count("print, logging") == 1


@pytest.mark.parametrize("point", ["mirror_before", "file_written", "mirror_after"])
def test_killed_around_the_mirror(project, point):
    """The database's state rules: a mirror that is behind is no edit of the user's."""
    if project.run("faults").code:
        pytest.skip("this build has no crash points")
    body = "n = state.get('n', 0) + 1\nop.upsert('t', {'id': n})\nop.checkpoint({'n': n})"
    project.write("connector.py", connector(body))
    assert project.debug().code == 0
    assert project.debug(env={"SL_FAULT": f"{point}=kill"}).code == -9
    assert project.debug().code == 0
    assert project.state() == {"n": 3}
    assert project.tables()["t"]["rows"] == 3
    assert json.loads((project.path / "files/state.json").read_text()) == {"n": 3}
    assert list((project.path / "files").glob("*.tmp")) == []
