"""Configured values appear nowhere in what is printed."""

import base64
import json
import urllib.parse

from conftest import connector

SECRET = 'pa"ss/wörd+42&x'


def test_every_stream_and_form(project):
    body = """
    import base64, json, logging, sys, urllib.parse
    s = configuration["api_token"]
    forms = [s, urllib.parse.quote(s), urllib.parse.quote_plus(s), json.dumps(s), repr(s)]
    forms += [base64.b64encode((p + s).encode()).decode() for p in ("", "u", "us", "user:")]
    for form in forms:
        log.info("log " + form)
        print("print", form)
        print("stderr", form, file=sys.stderr)
        logging.warning("logging %s", form)
    for c in s:
        sys.stdout.write(c)
        sys.stdout.flush()
    print()
    op.upsert("t", {"id": 1, "value": s})
    op.checkpoint({"cursor": s})
    raise ValueError("cannot use " + s)
    """
    project.write("connector.py", connector(body)).write(
        "configuration.json", {"api_token": SECRET, "plain": "yes"}
    )
    result = project.debug()
    assert result.code == 1
    # States are shown as they are: a secret in a state is the author's choice.
    shown = "\n".join(line for line in result.all.splitlines() if "Checkpoint:" not in line)
    forms = [SECRET, urllib.parse.quote(SECRET), json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1]]
    forms.append(base64.b64encode(SECRET.encode()).decode()[:18])
    for form in forms:
        assert form not in shown, form
    assert "ValueError: cannot use ******" in shown
    assert shown.count("******") > 30
    assert project.tables()["t"]["first_rows"][0]["value"] == SECRET
    assert project.state() == {"cursor": SECRET}


def test_innocent_values_stay_readable(project):
    project.write("connector.py", connector("log.info('true 100000 2024-01-31 short')"))
    project.write(
        "configuration.json", {"token": "true", "n": "100000", "start": "2024-01-31", "x": "short"}
    )
    assert "true 100000 2024-01-31 short" in project.debug().out


def test_short_values_by_the_keys_name(project):
    project.write("connector.py", connector("log.info('tok1 and tok2')"))
    project.write("configuration.json", {"api_key": "tok1", "other": "tok2"})
    assert "****** and tok2" in project.debug().out
