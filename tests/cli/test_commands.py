"""reset, init, package, show, doctor."""

import json
import os
import unicodedata
import zipfile

import pytest
from conftest import ONE_ROW, connector


@pytest.fixture
def ran(project):
    project.write("connector.py", ONE_ROW)
    assert project.debug().code == 0
    return project


# ---- reset


def test_reset(ran):
    ran.write("files/notes.txt", "mine").write("files/project.zip", "x")
    result = ran.run("reset")
    assert result.code == 2
    assert "--yes" in result.err
    assert (ran.path / "files/warehouse.db").exists()
    result = ran.run("reset", "--yes")
    assert result.code == 0
    assert "files/warehouse.db" in result.out
    assert "files/state.json" in result.out
    assert "reset successful" in result.out
    assert os.listdir(ran.path / "files") == ["notes.txt"]
    assert "1 inserted" in ran.debug().out
    assert ran.run("reset", "--non-interactive").code == 0
    assert os.listdir(ran.path / "files") == ["notes.txt"]


def test_reset_of_nothing(project):
    result = project.run("reset")
    assert result.code == 0
    assert "No files were deleted. Ensure you are in the project root directory." in result.out
    assert not (project.path / "files").exists()


def test_reset_removes_an_empty_folder(ran):
    assert ran.run("reset", "--yes").code == 0
    assert not (ran.path / "files").exists()


# ---- init


def test_init_list(project):
    result = project.run("init", "--list")
    assert result.code == 0
    for name in ("blank", "configuration", "incremental", "pagination"):
        assert f"  {name} " in result.out


@pytest.mark.parametrize(
    "template, rows", [("blank", 1), ("configuration", 1), ("incremental", 10), ("pagination", 150)]
)
def test_init_then_debug(project, template, rows):
    result = project.run("init", "new", "--template", template)
    assert result.code == 0, result
    assert "new project created at:" in result.out
    project.path = project.path / "new"
    assert project.debug("--configuration", "configuration.json").code == 0
    (table,) = project.tables().values()
    assert table["rows"] == rows


def test_init_does_not_overwrite(project):
    project.write("connector.py", "mine")
    result = project.run("init")
    assert result.code == 2
    assert "connector.py exists already" in result.out
    assert (project.path / "connector.py").read_text() == "mine"
    assert not (project.path / "configuration.json").exists()
    result = project.run("init", "--non-interactive")
    assert result.code == 1
    assert (project.path / "connector.py").read_text() == "mine"
    assert project.run("init", "--yes").code == 0
    assert project.debug().code == 0


def test_init_unknown_template(project):
    result = project.run("init", "--template", "nothing")
    assert result.code == 1
    assert "--list" in result.err


# ---- package


def names(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_package_rules(project):
    left_out = ["configuration.json", "deep/configuration.json", "__pycache__/x.pyc", "lib/x.py"]
    left_out += ["include/x.h", "files/old", "crash-reports/r", ".env", ".git/config"]
    left_out += ["env1/pyvenv.cfg", "env1/x.py", "skip.csv", "deep/local.md"]
    kept = [
        ".gitignore",
        "configuration_form.pb",
        "connector.py",
        "data/keep.csv",
        "deep/.gitignore",
        "deep/sql/q.sql",
    ]
    kept += ["requirements.txt", "üñí.txt"]
    for name in left_out + kept:
        project.write(name, "x")
    project.write(".gitignore", "*.csv\n!data/keep.csv\n# comment\n").write(
        "deep/.gitignore", "/local.md\n"
    )
    result = project.run("package")
    assert result.code == 0, result
    path = project.path / "files/project.zip"
    assert names(path) == sorted(kept)
    assert f"package created at: {path}" in result.out
    assert "8 files" in result.out
    assert "sha256" in result.out
    assert "loaded .gitignore with 3 patterns" in result.out


def test_package_is_deterministic(project, tmp_path):
    project.write("connector.py", ONE_ROW).write("b/c.py", "").write("a.sh", "#!/bin/sh\n")
    os.chmod(project.path / "a.sh", 0o755)
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    assert project.run("package", "--output", first).code == 0
    for root, _, files in os.walk(project.path):
        for name in files:
            os.utime(os.path.join(root, name), (1, 1))
    assert project.run("package", "-o", second, env={"TZ": "Asia/Tokyo"}).code == 0
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.getinfo("a.sh").external_attr >> 16 & 0o777 == 0o755
        assert archive.getinfo("b/c.py").external_attr >> 16 & 0o777 == 0o644


def test_package_does_not_pack_itself(project):
    project.write("connector.py", ONE_ROW)
    for _ in range(2):
        assert project.run("package", "--output", "out.zip").code == 0
    assert names(project.path / "out.zip") == ["configuration_form.pb", "connector.py"]


def test_package_needs_connector_py_in_the_root(project):
    project.write("deep/connector.py", ONE_ROW)
    result = project.run("package")
    assert result.code == 1
    assert "connector.py not found" in result.err


def test_package_drivers_need_a_script(project):
    project.write("connector.py", ONE_ROW).write("drivers/x.so", "")
    result = project.run("package")
    assert result.code == 1
    assert "installation.sh not found in the drivers directory" in result.err
    project.write("drivers/installation.sh", "")
    assert project.run("package").code == 0


# ---- show


def test_show(project):
    body = """
    for n in range(20):
        op.upsert('t', {'id': n, 'name': 'Zoë 中文', 'note': None if n else 'x' * 500})
    op.delete('t', {'id': 3})
    op.checkpoint({'n': 20})
    """
    project.write("connector.py", connector(body))
    assert project.debug().code == 0
    result = project.run("show", env={"COLUMNS": "80"})
    assert result.code == 0, result
    assert "tester.t: 20 rows, 19 not deleted" in result.out
    assert "the first 10 of 20 rows" in result.out
    assert json.loads(result.out.split("state: ")[1]) == {"n": 20}
    boxed = [line for line in result.out.splitlines() if line and line[0] in "┌│├└"]
    width = {
        sum(2 if unicodedata.east_asian_width(c) == "W" else 1 for c in line) for line in boxed
    }
    assert len(width) == 1
    assert width.pop() <= 80
    assert "…" in result.out
    assert project.run("show", "t", "--rows", "2").out.count("\n│ ") == 4
    assert project.run("show", "tester.t").code == 0
    assert project.run("show", project.path, "t").code == 0
    shown = json.loads(project.run("show", "--json", "--rows", "1").out)
    assert shown["state"] == {"n": 20}
    assert shown["tables"][0]["live_rows"] == 19
    assert len(shown["tables"][0]["first_rows"]) == 1


def test_show_without_data(project):
    result = project.run("show")
    assert result.code == 1
    assert "run fivetran debug first" in result.err


def test_show_unknown_table(ran):
    result = ran.run("show", "nothing")
    assert result.code == 1
    assert "the tables: t" in result.err


# ---- doctor


def test_doctor_all_is_well(ran):
    result = ran.run("doctor")
    assert result.code == 0, result
    assert "all is well" in result.out
    for words in (
        "fivetran on PATH",
        "database library",
        "Python 3.",
        "installer:",
        "project:",
        "warehouse.db: 1 tables",
    ):
        assert words in result.out
    assert "FAIL" not in result.out


def test_doctor_finds_what_is_wrong_with_a_project(project):
    project.write("connector.py", ONE_ROW).write("configuration.json", '{"a": 1}').write(
        "requirements.txt", "a = 1\n"
    )
    project.write("files/state.json", '{"n": 1}')
    result = project.run("doctor")
    assert result.code == 1
    assert "all values must be strings" in result.out
    assert "requirements.txt:1" in result.out
    assert "its files/warehouse.db is gone" in result.out
    assert result.out.count("fix:") >= 3


def test_doctor_another_fivetran_in_front(project, tmp_path):
    other = tmp_path / "other" / "bin"
    other.mkdir(parents=True)
    (other / "fivetran").write_text("#!/bin/sh\necho the official one\n")
    (other / "fivetran").chmod(0o755)
    info = tmp_path / "other/lib/python3.11/site-packages/fivetran_connector_sdk-2.13.1.dist-info"
    info.mkdir(parents=True)
    (info.parent / "fivetran_connector_sdk").mkdir()
    result = project.run("doctor", env={"PATH": f"{other}{os.pathsep}{project.env['PATH']}"})
    assert result.code == 1
    assert "the first fivetran on PATH is" in result.out
    assert "fivetran-connector-sdk 2.13.1, the official one" in result.out


def test_doctor_another_environment_is_active(project, tmp_path):
    (tmp_path / "venv").mkdir()
    result = project.run("doctor", env={"VIRTUAL_ENV": str(tmp_path / "venv")})
    assert "the active environment is" in result.out


def test_doctor_broken_install(project):
    result = project.run("doctor", env={"SLUICE_DUCKDB_LIB": "/nowhere/libduckdb.so"})
    assert result.code == 1
    assert "the database library is missing: /nowhere/libduckdb.so" in result.out
    project.write("connector.py", ONE_ROW)
    result = project.debug(env={"SLUICE_DUCKDB_LIB": "/nowhere/libduckdb.so"})
    assert result.code == 3
    assert "libduckdb.so is missing" in result.out
