"""What deploy warns of: imports beside requirements.txt. Nothing of the project is run."""

import pytest


@pytest.fixture
def warnings(ready, server):
    """Deploys these files and gives the warnings."""

    def deploy(code, requirements=None, **files):
        ready.write("connector.py", code)
        for name, content in files.items():
            ready.write(name.replace("__", "/") + ".py", content)
        if requirements is not None:
            ready.write("requirements.txt", requirements)
        result = ready.deploy("--connection", "c", "--force")
        assert result.code == 0, result
        return [x.removeprefix("warning: ") for x in result.err.splitlines()]

    return deploy


def test_nothing_to_say(warnings):
    assert warnings("import json, os.path\nimport cryptography\n", "cryptography==44.0.2\n") == []


def test_missing(warnings):
    assert warnings("import json\nimport pandas as pd, yaml\n", "cryptography==1.0\n") == [
        "connector.py:2 imports pandas, but requirements.txt does not list it: add pandas==VERSION",
        "connector.py:2 imports yaml, but requirements.txt does not list it: add pyyaml==VERSION",
        "requirements.txt:1 lists cryptography, which nothing imports: remove it if it is not needed",
    ]


def test_no_requirements(warnings):
    assert warnings("import pandas\n") == [
        "connector.py:1 imports pandas, but requirements.txt is not there: add pandas==VERSION"
    ]


def test_not_pinned(warnings):
    assert warnings("import pandas\nimport yaml\n", "pandas>=2\npyyaml==6.0.2\n") == [
        "requirements.txt:1: pandas>=2 is not pinned: with == a new release cannot break the connector"
    ]


@pytest.mark.parametrize(
    "code, requirement",
    [
        ("from bs4 import BeautifulSoup", "beautifulsoup4==4"),
        ("import psycopg2.extras", "psycopg2-binary==2"),
        ("from dateutil import parser", "python-dateutil==2"),
        ("import sklearn.cluster as c", "scikit-learn==1"),
        ("from google.cloud import bigquery", "google-cloud-bigquery==3"),
        ("from google.cloud import (\n    storage as s,\n)", "google-cloud-storage==3"),
        ("import google.cloud.bigquery", "google-cloud-bigquery==3"),
        ("import google.auth", "google-auth==2"),
        ("from azure.storage.blob import BlobServiceClient", "azure-storage-blob==12"),
        ("import snowflake.connector", "snowflake-connector-python==3"),
        ("import Crypto.Cipher", "pycryptodome==3"),
        ("import openpyxl", "openpyxl==3"),
        ("import pandas", "pandas==2\nopenpyxl==3"),
        ("import my_library", "My.Library==1"),
        ("import importlib; x = importlib.import_module('pandas')", "pandas==2"),
        ("try:\n    import pandas\nexcept ImportError:\n    pass", "pandas==2"),
    ],
)
def test_names_that_differ(warnings, code, requirement):
    assert warnings(code + "\n", requirement + "\n") == []


@pytest.mark.parametrize(
    "code",
    [
        "import requests",
        "from fivetran_connector_sdk import Connector",
        "import helper\nfrom helper import x",
        "from package.inner import y",
        "from . import z\nfrom .helper import x",
        "from __future__ import annotations",
        "import tomllib, zoneinfo, distutils",
        '"""\nimport pandas\n"""',
        "'''it's\nimport pandas'''",
        "x = r'\\'\nimport json",
        "# import pandas",
        "x = [\n'import pandas',\n]",
        "def f():\n    yield from pandas_like\n",
        "try:\n    import ujson as json\nexcept ImportError:\n    import simplejson\n",
        "try: import ujson\nexcept ImportError: pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n",
        "def f():\n    try:\n        import ujson\n    finally:\n        pass\n",
    ],
)
def test_imports_that_need_nothing(warnings, code):
    assert warnings(code + "\n", helper="x = 1\n", package__inner="y = 1\n") == []


@pytest.mark.parametrize(
    "code",
    [
        "import json; import pandas",
        "import json, \\\n    pandas",
        "if True: import pandas",
        "def f():\n    import pandas\n",
        "try:\n    pass\nexcept ValueError:\n    pass\nimport pandas",
        "x = 'a\\'b'; import pandas",
        "x = {'a': 1}\nfrom pandas . core import frame",
        "\ufeffimport pandas",
        "class A:\n  '''d'''\n  import pandas\n",
    ],
)
def test_imports_that_are_found(warnings, code):
    (warning,) = warnings(code + "\n", "")
    assert "imports pandas" in warning


def test_other_files_count(warnings):
    (warning,) = warnings("import helper\n", "", helper="import json\n\nimport numpy.linalg\n")
    assert warning.startswith("helper.py:3 imports numpy.linalg")


def test_tests_and_environments_do_not_count(ready, warnings):
    ready.write("venv/pyvenv.cfg", "").write("venv/lib/x.py", "import pandas\n")
    ready.write("env/pyvenv.cfg", "").write("env/x.py", "import pandas\n")
    ready.write("tests/test_it.py", "import pytest\n").write("test_it.py", "import pytest\n")
    assert warnings("import json\n", "") == []


def test_a_url_may_bring_anything(warnings):
    requirements = "package @ https://example.com/package-1.0.zip\n./local.whl\n"
    assert "pandas" not in "".join(warnings("import pandas\n", requirements))


def test_package_create_warns_too(ready):
    ready.write("connector.py", "import pandas\n")
    assert "imports pandas" in ready.run("package", "create").err


def test_code_is_not_run(ready, tmp_path):
    ready.write("connector.py", f"open({str(tmp_path / 'run')!r}, 'w')\nraise SystemExit(3)\n")
    assert ready.deploy("--connection", "c").code == 0
    assert not (tmp_path / "run").exists()
