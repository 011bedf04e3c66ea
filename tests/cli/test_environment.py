"""Isolated environments: what is installed, what is not, and why it failed."""

import fcntl
import os
import shutil
import subprocess
import time

import pytest
from conftest import ONE_ROW, connector, interrupt, wait_for


@pytest.fixture
def imports(project):
    """A connector that imports `alpha` and logs its version."""
    return project.write(
        "connector.py", "import alpha\n" + connector("log.info('alpha ' + alpha.VERSION)")
    )


def environments(project):
    path = os.path.join(project.env["SLUICE_CACHE"], "envs")
    return {n for n in os.listdir(path) if "." not in n} if os.path.isdir(path) else set()


@pytest.fixture
def own_cache(project, tmp_path):
    project.env["SLUICE_CACHE"] = str(tmp_path / "own cache")
    return project


def test_installs_what_is_asked_for(imports, wheels, installer):
    wheels.add("alpha", "1.0").add("alpha", "2.0")
    imports.write("requirements.txt", "# pinned\nalpha==1.0\n")
    env = {**wheels.env, **installer}
    result = imports.debug(env=env)
    assert result.code == 0, result
    assert "alpha 1.0" in result.out
    assert (
        f"installing 1 requirement from requirements.txt with {installer['SLUICE_INSTALLER']}"
        in result.out
    )
    imports.write("requirements.txt", "alpha==2.0\n")
    assert "alpha 2.0" in imports.debug(env=env).out
    imports.write("requirements.txt", "Alpha == 1.0   # the same as at first\n")
    again = imports.debug(env=env)
    assert "alpha 1.0" in again.out
    assert "installing" not in again.out


def test_pyproject(imports, wheels):
    wheels.add("alpha", "1.0")
    imports.write(
        "pyproject.toml",
        '[project]\nname = "x"\nversion = "1"\ndependencies = [\n  "alpha==1.0",\n]\n',
    )
    result = imports.debug(env=wheels.env)
    assert result.code == 0, result
    assert "from pyproject.toml" in result.out


def test_local_package_and_nested_file(project, installer):
    project.write("connector.py", "import alpha\n" + ONE_ROW)
    project.write(
        "mine/setup.py",
        "from setuptools import setup\nsetup(name='alpha', version='1', py_modules=['alpha'])\n",
    )
    project.write("mine/alpha.py", "VERSION = '1'\n").write("more/base.txt", "./../mine\n")
    project.write("requirements.txt", "-r more/base.txt\n")
    result = project.debug(env=installer)
    assert result.code == 0, result


def test_nothing_of_the_users_environment_is_seen(imports, tmp_path):
    """PYTHONPATH, the user's site and the venv's packages stay outside."""
    (tmp_path / "alpha.py").write_text("VERSION = 'outside'\n")
    result = imports.debug(env={"PYTHONPATH": str(tmp_path)})
    assert result.code == 1
    assert "ModuleNotFoundError: No module named 'alpha'" in result.out
    project = imports.write("connector.py", "import pip\n" + ONE_ROW)
    assert "No module named 'pip'" in project.debug().out


def test_without_isolation(imports, tmp_path):
    (tmp_path / "alpha.py").write_text("VERSION = 'outside'\n")
    imports.write("requirements.txt", "nothing-of-this-is-installed==1\n")
    result = imports.debug("--no-isolation", env={"PYTHONPATH": str(tmp_path)})
    assert result.code == 0, result
    assert "alpha outside" in result.out


def test_a_project_file_does_not_hide_pythons_own(project):
    project.write("connector.py", ONE_ROW).write("socket.py", "raise SystemExit('wrong socket')\n")
    assert project.debug().code == 0 or os.environ.get("SLUICE_TEST_OLD_PYTHON")


@pytest.mark.parametrize(
    "line",
    ["fivetran-connector-sdk", "Fivetran_Connector_SDK>=1.0", "fivetran.connector.sdk[x]==2"],
)
def test_a_line_naming_the_sdk_is_dropped(project, line):
    project.write("connector.py", ONE_ROW).write("requirements.txt", line + "\n")
    result = project.debug(env={"PIP_NO_INDEX": "1"})
    assert result.code == 0, result
    assert f'left out "{line}"' in result.out


def test_the_sdk_never_comes_as_a_dependency(project, wheels, installer):
    """uv leaves it out, pip refuses; the package of that name in the index is never installed."""
    wheels.add(
        "fivetran-connector-sdk",
        "9.9",
        files={"fivetran_connector_sdk/__init__.py": "raise SystemExit('wrong')\n"},
    )
    wheels.add("alpha", "1.0", requires=["fivetran-connector-sdk"])
    project.write("connector.py", "import alpha\n" + ONE_ROW).write(
        "requirements.txt", "alpha==1.0\n"
    )
    result = project.debug(env={**wheels.env, **installer})
    if installer["SLUICE_INSTALLER"] == "uv":
        assert result.code == 0, result
    else:
        assert result.code == 3, result
        assert "depends on fivetran-connector-sdk" in result.out
    assert "wrong" not in result.out


@pytest.mark.parametrize("name", ["fivetran_connector_sdk", "fivetran_connector_sdk_core"])
def test_a_package_that_brings_an_sdk_is_refused(own_cache, wheels, installer, name):
    wheels.add("alpha", "1.0", files={f"{name}/__init__.py": ""})
    own_cache.write("connector.py", ONE_ROW).write("requirements.txt", "alpha==1.0\n")
    result = own_cache.debug(env={**wheels.env, **installer})
    assert result.code == 3, result
    assert f"brought its own copy of the SDK ({name})" in result.out
    assert environments(own_cache) == set()


def test_unpinned_is_kept_for_a_day(imports, wheels, own_cache):
    wheels.add("alpha", "1.0")
    imports.write("requirements.txt", "alpha\n")
    assert "alpha 1.0" in imports.debug(env=wheels.env).out
    wheels.add("alpha", "2.0")
    assert "alpha 1.0" in imports.debug(env=wheels.env).out
    (name,) = environments(own_cache)
    meta = os.path.join(own_cache.env["SLUICE_CACHE"], "envs", name, "sluice.json")
    os.utime(meta, (1, 1))
    assert "alpha 2.0" in imports.debug(env=wheels.env).out
    os.utime(meta, (1, 1))
    shutil.rmtree(wheels.path)
    result = imports.debug(env=wheels.env)
    assert result.code == 0, result
    assert "using those of the last install" in result.out
    assert "alpha 2.0" in result.out


def age(cache, name, days):
    """As if the environment had last been used that long ago."""
    then = time.time() - days * 86400
    os.utime(os.path.join(cache, "envs", name + ".lock"), (then, then))


def test_unused_environments_are_removed(imports, wheels, own_cache):
    cache = own_cache.env["SLUICE_CACHE"]
    made = []
    for version in ("1.0", "2.0", "3.0"):
        wheels.add("alpha", version)
        imports.write("requirements.txt", f"alpha=={version}\n")
        before = environments(own_cache)
        assert imports.debug(env=wheels.env).code == 0
        made += environments(own_cache) - before
    old, used, new = made
    age(cache, old, 31)
    age(cache, used, 31)
    os.mkdir(os.path.join(cache, "envs", old + ".building-1"))

    # A run from the cache marks its environment and removes nothing; one that makes an environment cleans up.
    imports.write("requirements.txt", "alpha==2.0\n")
    assert "alpha 2.0" in imports.debug(env=wheels.env).out
    assert environments(own_cache) == {old, used, new}
    wheels.add("alpha", "4.0")
    imports.write("requirements.txt", "alpha==4.0\n")
    out = imports.debug(env=wheels.env).out
    assert "removed 1 cached environment not used for 30 days" in out
    assert environments(own_cache) > {used, new} and old not in environments(own_cache)
    assert not os.path.exists(os.path.join(cache, "envs", old + ".building-1"))
    assert not os.path.exists(os.path.join(cache, "logs", old + ".log"))

    # It comes back when it is needed.
    imports.write("requirements.txt", "alpha==1.0\n")
    assert "alpha 1.0" in imports.debug(env=wheels.env).out


def test_doctor_clean(imports, wheels, own_cache):
    cache = own_cache.env["SLUICE_CACHE"]
    wheels.add("alpha", "1.0")
    imports.write("requirements.txt", "alpha==1.0\n")
    assert imports.debug(env=wheels.env).code == 0
    (name,) = environments(own_cache)
    age(cache, name, 29)
    out = own_cache.run("doctor", "--clean").out
    assert "cache: 0 environments not used for 30 days removed, 1 kept" in out
    age(cache, name, 31)
    lock = open(os.path.join(cache, "envs", name + ".lock"), "r+")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # being made anew just now
        assert "removed, 1 kept" in own_cache.run("doctor", "--clean").out
    assert environments(own_cache) == {name}
    assert "1 environment not used for 30 days removed, 0 kept" in own_cache.run("doctor", "--clean").out  # fmt: skip
    assert environments(own_cache) == set()


def test_refresh(imports, wheels):
    wheels.add("alpha", "1.0")
    imports.write("requirements.txt", "alpha>=1\n")
    assert "alpha 1.0" in imports.debug(env=wheels.env).out
    wheels.add("alpha", "2.0")
    assert "alpha 2.0" in imports.debug("--refresh", env=wheels.env).out


# ---- why it failed: one screen, exit code 3


def failed(result):
    assert result.code == 3, result
    assert "Sync FAILED" in result.out
    assert len(result.out.splitlines()) <= 12, result
    return result.out


def test_no_such_version(project, wheels, installer):
    wheels.add("alpha", "1.0").add("alpha", "1.5")
    project.write("connector.py", ONE_ROW).write("requirements.txt", "\nalpha==2.0\n")
    out = failed(project.debug(env={**wheels.env, **installer}))
    assert "requirements.txt:2: there is no alpha==2.0 for Python 3." in out
    assert "1.0, 1.5" in out
    log = out.split("whole log: ")[1].splitlines()[0]
    assert os.path.getsize(log) > 0


def test_no_such_package(project, wheels, installer):
    project.write("connector.py", ONE_ROW).write("requirements.txt", "reqeusts==2.0\n")
    out = failed(project.debug(env={**wheels.env, **installer}))
    assert 'requirements.txt:1: the package index has no package "reqeusts' in out
    assert "spelling" in out


def test_conflict(project, wheels, installer):
    wheels.add("alpha", "1.0", requires=["beta<2"]).add("beta", "1.0").add("beta", "2.0")
    project.write("connector.py", ONE_ROW).write("requirements.txt", "alpha==1.0\nbeta==2.0\n")
    out = failed(project.debug(env={**wheels.env, **installer}))
    assert "contradict each other" in out
    assert "beta<2" in out


@pytest.mark.parametrize(
    "says, words, fix",
    [
        ("Error: pg_config executable not found.", "pg_config", "psycopg2-binary"),
        (
            "src/pyodbc.h:56:10: fatal error: sql.h: No such file or directory",
            "sql.h",
            "unixodbc-dev",
        ),
        ("x.c:1:10: fatal error: Python.h: No such file or directory", "Python.h", "python3-dev"),
        (
            "error: command 'gcc' failed: No such file or directory",
            "no C compiler",
            "build-essential",
        ),
        ("something else went wrong", "its build failed", "--python"),
    ],
)
def test_a_build_that_fails(project, wheels, installer, says, words, fix):
    wheels.add_source(
        "gamma", "1.0", f"import sys\nsys.stderr.write({says!r} + '\\n')\nsys.exit(1)\n"
    )
    project.write("connector.py", ONE_ROW).write("requirements.txt", "gamma==1.0\n")
    out = failed(project.debug(env={**wheels.env, **installer}))
    assert "requirements.txt:1: gamma" in out
    assert words in out
    assert fix in out


def test_offline(project, installer):
    project.write("connector.py", ONE_ROW).write("requirements.txt", "alpha-not-there==1.0\n")
    index = "http://127.0.0.1:9/simple"
    env = {
        "PIP_INDEX_URL": index,
        "PIP_FIND_LINKS": None,
        "PIP_CONFIG_FILE": "/dev/null",
        "UV_HTTP_RETRIES": "0",
    }
    out = failed(project.debug(env={**installer, **env}))
    assert "the package index cannot be reached" in out
    assert "--no-isolation" in out


@pytest.mark.parametrize(
    "line, hint",
    [
        ("requests = 2.0", "==1.2.3"),
        ("pandas 2.0", "==1.2.3"),
        ("a==1 b==2", "one requirement per line"),
    ],
)
def test_bad_syntax(project, line, hint):
    project.write("connector.py", ONE_ROW).write("requirements.txt", f"# first\n{line}\n")
    out = failed(project.debug())
    assert f'requirements.txt:2: "{line}" is not a requirement' in out
    assert hint in out


def test_no_such_python(project):
    project.write("connector.py", ONE_ROW)
    out = failed(project.debug("--python", "/nowhere/python3"))
    assert "no Python at /nowhere/python3" in out


def test_python_too_old(project, tmp_path):
    project.write("connector.py", ONE_ROW)
    fake = tmp_path / "python3"
    fake.write_text(
        "#!/bin/sh\n"
        'echo \'{"version": "3.8.1", "base": "/x", "prefix": "/x", "platform": "linux", '
        '"implementation": "cpython", "cpython": true, "pip": null}\'\n'
    )
    fake.chmod(0o755)
    out = failed(project.debug("--python", fake))
    assert "is Python 3.8.1, which is too old" in out


def test_full_disk_while_installing(project, wheels, tmp_path, installer):
    cache = tmp_path / "small"
    cache.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", cache], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        wheels.add("alpha", "1.0", files={"alpha.py": "x = '" + "y" * 3_000_000 + "'\n"})
        project.write("connector.py", ONE_ROW).write("requirements.txt", "alpha==1.0\n")
        out = failed(project.debug(env={**wheels.env, **installer, "SLUICE_CACHE": str(cache)}))
        assert "disk is full" in out
        assert "SLUICE_CACHE" in out
    finally:
        subprocess.run(["umount", "-l", cache], check=True)


def test_a_killed_install_leaves_no_half_environment(own_cache, wheels):
    wheels.add_source("gamma", "1.0", "import time\ntime.sleep(60)\n")
    own_cache.write("connector.py", ONE_ROW).write("requirements.txt", "gamma==1.0\n")
    process = own_cache.start("debug", env=wheels.env)
    envs = os.path.join(own_cache.env["SLUICE_CACHE"], "envs")
    wait_for(
        lambda: os.path.isdir(envs) and any(".building" in n for n in os.listdir(envs)),
        "install begins",
    )
    process.kill()
    process.communicate()
    assert environments(own_cache) == set()
    shutil.rmtree(wheels.path)
    wheels.path.mkdir()
    wheels.add("gamma", "1.0")
    assert own_cache.debug(env=wheels.env).code == 0
    assert [n for n in os.listdir(envs) if ".building" in n] == []


def test_interrupted_install(own_cache, wheels):
    wheels.add_source("gamma", "1.0", "import time\ntime.sleep(60)\n")
    own_cache.write("connector.py", ONE_ROW).write("requirements.txt", "gamma==1.0\n")
    process = own_cache.start("debug", env=wheels.env)
    envs = os.path.join(own_cache.env["SLUICE_CACHE"], "envs")
    wait_for(
        lambda: os.path.isdir(envs) and any(".building" in n for n in os.listdir(envs)),
        "install begins",
    )
    interrupt(process)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert [n for n in os.listdir(envs) if ".building" in n] == []
