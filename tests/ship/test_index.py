"""The server's package index: the wheel it was installed from, made again, and what pip makes of it."""

import hashlib
import os
import re
import shutil
import sys
import urllib.error
import zipfile

import pytest
from conftest import Server, run

PROJECT = "fivetran-connector-sdk"


def listed(server):
    """{file name: sha256} of the project's page."""
    page = server.get("/simple/%s/" % PROJECT).decode()
    return dict(re.findall(r'href="[^"#]*?([^"#/]+\.whl)#sha256=([0-9a-f]{64})"', page))


@pytest.fixture(scope="module")
def wheel(server, tmp_path_factory):
    """The wheel that the server hands out, downloaded."""
    files = listed(server)
    assert len(files) == 1, files
    ((name, sha256),) = files.items()
    body = server.get("/simple/%s/%s" % (PROJECT, name))
    assert hashlib.sha256(body).hexdigest() == sha256
    path = tmp_path_factory.mktemp("wheel") / name
    path.write_bytes(body)
    return path


@pytest.fixture(scope="module")
def other_venv(bin_dir, server, tmp_path_factory):
    """A fresh venv, below a folder with a space in its name, after the tutorial's words."""
    venv = tmp_path_factory.mktemp("with space") / "venv"
    run(bin_dir / "python", "-m", "venv", venv)
    # The option where `pip config set global.index-url` of a user would be.
    run(venv / "bin" / "pip", "install", PROJECT, "--index-url", server.url + "/simple/")
    return venv / "bin"


def test_the_index_names_the_project_and_nothing_else(server):
    page = server.get("/simple/").decode()
    assert re.findall(r"<a [^>]*>([^<]*)</a>", page) == [PROJECT]
    with pytest.raises(urllib.error.HTTPError) as missing:
        server.get("/simple/requests/")
    assert missing.value.code == 404


def test_the_wheel_is_whole(wheel):
    with zipfile.ZipFile(wheel) as whl:
        assert whl.testzip() is None
        names = whl.namelist()
        (record,) = [n for n in names if n.endswith(".dist-info/RECORD")]
        rows = [line.split(",") for line in whl.read(record).decode().splitlines()]
        assert sorted(row[0] for row in rows) == sorted(names)
        programs = {n.rsplit("/", 1)[1] for n in names if ".data/scripts/" in n}
        assert programs == {"fivetran", "sluiced"}
        assert any(n.endswith("/lib/libduckdb.so") for n in names)
    foreign = ("__pycache__", "INSTALLER", "REQUESTED", "direct_url.json")
    assert [n for n in names if any(word in n for word in foreign)] == []


def test_pip_installs_it_and_the_programs_run(other_venv, bin_dir):
    assert run(other_venv / "fivetran", "--version") == run(bin_dir / "fivetran", "--version")
    code = "from fivetran_connector_sdk import Connector; print(Connector.__module__)"
    assert run(other_venv / "python", "-c", code).strip()
    run(other_venv / "pip", "check")


def test_a_server_installed_from_it_hands_out_the_same(other_venv, wheel, tmp_path):
    """Started through a symbolic link in a folder with a space, as /usr/local/bin often has one."""
    link = tmp_path / "other place" / "sluiced"
    link.parent.mkdir()
    link.symlink_to(other_venv / "sluiced")
    server = Server(tmp_path / "data", link.parent).start()
    try:
        assert listed(server) == {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest()}
    finally:
        server.stop()


def test_it_is_made_once(server, wheel):
    made = server.data / "wheels" / wheel.name
    before = made.stat()
    assert listed(server)
    after = made.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert os.listdir(made.parent) == [wheel.name]


def test_a_folder_of_wheels_is_served_as_it_is(bin_dir, wheel, tmp_path):
    """The operator's folder may hold the wheels of other Pythons, too."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    other = re.sub(r"-cp\d+-(abi3|cp\d+)-", "-cp399-cp399-", wheel.name)
    shutil.copy(wheel, folder / wheel.name)
    shutil.copy(wheel, folder / other)
    (folder / "notes.txt").write_text("not a wheel")
    server = Server(tmp_path / "data", bin_dir, ["--wheels", folder]).start()
    try:
        assert set(listed(server)) == {wheel.name, other}
    finally:
        server.stop()
    assert not (tmp_path / "data" / "wheels").exists()


@pytest.mark.skipif(sys.version_info[:2] == (3, 9), reason="the wheel of 3.9 is of 3.9 alone")
def test_the_name_says_which_pythons_it_serves(wheel):
    assert "-cp310-abi3-linux_" in wheel.name
