"""Names, imports, logging without a run, captures of unit tests, forms."""
# ruff: noqa: E501 (tables of cases)

import os
import subprocess
import sys
import warnings

import pytest
from conftest import ENCODERS, FORCED

import fivetran_connector_sdk as sdk
import wire
from fivetran_connector_sdk import Connector, Logging, Operations, testing


def python(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": wire.package_path(), **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------------- names and imports


def test_names():
    assert Connector.__module__ == "fivetran_connector_sdk" and Connector.__name__ == "Connector"
    assert sdk.__version__ == "0.1.0"
    for name in sdk.__all__:
        assert getattr(sdk, name) is not None
    assert sdk.form_field.TextField and sdk.FileUpload("p", None).path == "p"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sdk.nothing  # noqa: B018


def test_star_import():
    assert python(
        "from fivetran_connector_sdk import *\nprint(Connector.__name__, Operations.__name__, form_field.__name__)"
    ) == ("Connector Operations fivetran_connector_sdk.form_field\n")


def test_import_is_light():
    heavy = "asyncio socket subprocess decimal typing dataclasses inspect threading traceback json importlib.util".split()
    code = (
        "import sys; before = set(sys.modules); import fivetran_connector_sdk; "
        f"print([m for m in {heavy} if m in sys.modules and m not in before], len(set(sys.modules) - before))"
    )
    loaded, _, count = python(code).rpartition(" ")
    assert loaded == "[]" and int(count) < 25


def test_connector_checks_its_functions():
    with pytest.raises(TypeError, match="update must be a function, got NoneType"):
        Connector(None)
    with pytest.raises(TypeError, match="schema must be a function, got list"):
        Connector(print, schema=[])
    assert Connector(print, None, None).schema is None


@pytest.mark.skipif(bool(FORCED), reason="compares both")
def test_choice_of_the_encoder(monkeypatch):
    from fivetran_connector_sdk._encoder import encoder_class

    monkeypatch.delenv("SLUICE_FRAMES", raising=False)
    assert encoder_class().__module__.endswith("._cframes")
    for name, module in ENCODERS.items():
        monkeypatch.setenv("SLUICE_FRAMES", name)
        assert encoder_class().__module__.endswith("." + module)
    monkeypatch.setenv("SLUICE_FRAMES", "rust")
    with pytest.raises(ImportError, match="SLUICE_FRAMES=rust: expected 'c' or 'python'"):
        encoder_class()


def test_a_failed_import_lists_the_reasons(monkeypatch):
    from fivetran_connector_sdk import _encoder

    def fail(reason):
        def load():
            raise ImportError(reason)

        return load

    monkeypatch.delenv("SLUICE_FRAMES", raising=False)
    monkeypatch.setattr(
        _encoder, "_LOADERS", {"c": fail("no such file"), "python": fail("no such module")}
    )
    with pytest.raises(ImportError, match="c: no such file; python: no such module"):
        _encoder.encoder_class()


# ---------------------------------------------------------------------- logging without a run


def test_log_before_a_run(capsys, recwarn):
    Logging.info("hello")
    Logging.fine("not shown")
    Logging.severe("bad", ValueError("why"))
    Logging.warning(12)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line[12:] for line in lines if " - " in line] == [
        " INFO - hello",
        " SEVERE - bad",
        " WARNING - 12",
    ]
    assert "ValueError: why" in lines
    assert lines[0][2] == lines[0][5] == ":" and lines[0][8] == "."
    assert not recwarn.list


def test_no_deprecation_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with testing.capture():
            Logging.fine("x")
            Logging.severe("x", exception=ValueError())


def test_levels():
    assert [(level.name, level.value) for level in Logging.Level] == [
        ("DEBUG", 1), ("FINE", 2), ("INFO", 3), ("WARNING", 4), ("ERROR", 5), ("SEVERE", 6), ("CRITICAL", 7),
    ]  # fmt: skip


# ---------------------------------------------------------------------- operations without a run


def test_operations_outside_a_run_do_nothing():
    calls = [
        Operations.upsert("t", {"a": 1}),
        Operations.update("t", {"a": 1}, schema="s", file=None),
        Operations.delete("t", {"a": 1}),
        Operations.truncate("t"),
        Operations.checkpoint({}, durable=True),
        Operations.warning("w"),
        Operations.error("e"),
    ]
    assert calls == [()] * 7


def test_capture(frames, monkeypatch):
    monkeypatch.setenv("SLUICE_FRAMES", frames)
    row = {"a": [1]}
    with testing.capture() as done:
        Operations.upsert("t", row)
        row["a"].append(2)
        Operations.upsert(table="u", data=row, schema="s")
        Operations.update("t", {"b": 1})
        Operations.delete("t", {"c": 1})
        Operations.truncate("t")
        Operations.checkpoint({"n": 1}, durable=True)
        Operations.warning("careful")
        Operations.error("over")
        Logging.info("line")
    assert done.upserts() == [{"a": [1]}, {"a": [1, 2]}] and done.upserts("t") == [{"a": [1]}]
    assert (
        done.updates("t") == [{"b": 1}]
        and done.deletes() == [{"c": 1}]
        and done.states == [{"n": 1}]
    )
    assert [
        one.name for one in done.operations
    ] == "upsert upsert update delete truncate checkpoint warning error".split()
    assert done.operations[1].schema == "s" and done.operations[6].data == "careful"
    assert done.logs == [(3, "line")]
    Operations.upsert("t", {"not": "captured"})
    assert len(done.operations) == 8


def test_captures_nest():
    with testing.capture() as outer:
        with testing.capture() as inner:
            Operations.upsert("t", {"a": 1})
        Operations.upsert("t", {"a": 2})
    assert (inner.upserts(), outer.upserts()) == ([{"a": 1}], [{"a": 2}])


def test_capture_checks_as_a_run_does():
    tables = [{"table": "t", "primary_key": ["id"], "columns": {"n": "LONG"}}]
    with testing.capture(tables):
        with pytest.raises(ValueError, match="t.n: expected LONG"):
            Operations.upsert("t", {"id": 1, "n": "x"})
        with pytest.raises(ValueError, match="without key column 'id'"):
            Operations.delete("t", {})
        with pytest.raises(TypeError, match="checkpoint state"):
            Operations.checkpoint(None)


def test_testing_run():
    def schema(configuration):
        yield {"table": "t", "primary_key": ["id"]}

    def update(configuration, state):
        yield Operations.upsert("t", {"id": state["n"], "key": configuration["key"]})
        yield Operations.checkpoint({"n": state["n"] + 1})

    state = {"n": 1}
    done = testing.run(Connector(update, schema), {"key": "x"}, state)
    assert (
        done.upserts("t") == [{"id": 1, "key": "x"}]
        and done.states == [{"n": 2}]
        and state == {"n": 1}
    )


# ---------------------------------------------------------------------- forms


def form_parts():
    return sdk.ConfigurationForm(), sdk.form_field, sdk.Test


def test_form():
    form, field, result = form_parts()

    def connection(configuration):
        return result.success() if configuration["key"] else result.failure("no key")

    same = (
        form.add_field(
            field.TextField("key", "Key", field.TextField.password, required=True, placeholder="…")
        )
        .add_field(
            field.DropdownField(
                "region", "Region", fields=[field.DropdownFieldParam("eu", "Europe"), "us"]
            )
        )
        .add_field(field.ToggleField("fast", "Fast", description="be quick"))
        .add_test(label="Connection", func=connection)
    )
    assert same is form
    stored = form.to_json()
    assert [one["kind"] for one in stored["fields"]] == ["password", "dropdown", "toggle"]
    assert stored["fields"][0]["required"] is True and stored["fields"][0]["placeholder"] == "…"
    assert [option["label"] for option in stored["fields"][1]["options"]] == ["Europe", "us"]
    assert stored["tests"] == [{"name": "connection", "label": "Connection"}]
    assert form.run_test("connection", {"key": "x"}).passed
    assert form.run_test("connection", {"key": ""}).message == "no key"
    assert form.run_test("connection", {}).message == "KeyError: 'key'"


def test_form_as_the_official_one_takes_it():
    field = sdk.form_field
    numbers = field.DropdownField(
        "n", "N", fields=[field.DropdownFieldParam(value=1), field.DropdownFieldParam(2, 3)],
        placeholder="pick one",
    )  # fmt: skip
    numbers.default_value = "2"
    stored = numbers.to_json()
    assert stored["placeholder"] == "pick one" and stored["default"] == "2"
    assert [(o["value"], o["label"]) for o in stored["options"]] == [("1", "1"), ("2", "3")]
    assert (field.TextField.plain_text, field.TextField.password) == (0, 1)
    assert field.TextField("a", "A", 0).kind == "text"
    numbers.default_value = 2
    with pytest.raises(TypeError, match="default_value must be a string, got int"):
        numbers.to_json()


def test_form_errors():
    form, field, result = form_parts()

    def check(configuration):
        return True

    form.add_test(label="x", func=check)
    assert (
        form.run_test("check", {}).message
        == "test 'check' must return Test.success() or Test.failure(...), got bool"
    )
    for call, error in [
        (lambda: form.add_field("x"), "field must be a form_field, got str"),
        (
            lambda: form.add_test(label=" ", func=form_parts),
            "label must not be empty for test function 'form_parts'",
        ),
        (lambda: form.add_test(label="x", func=5), "func must be callable"),
        (
            lambda: form.add_test(label="x", func=lambda c: None),
            "anonymous lambda functions cannot be used",
        ),
        (
            lambda: form.add_test(label="y", func=check),
            "a test function named 'check' is already registered",
        ),
        (
            lambda: field.DropdownField("x", "X", fields=[]),
            "DropdownField 'x' must define at least one option in 'fields'.",
        ),
        (lambda: field.TextField("", "X"), "name must not be empty"),
        (lambda: field.TextField("x", "X", "secret"), "field_type must be"),
        (lambda: result.failure(""), "Message must be a non-empty string"),
    ]:
        with pytest.raises(
            (TypeError, ValueError), match=error.replace("(", r"\(").replace(")", r"\)")
        ):
            call()
    form.add_field(field.TextField("x", "X"))
    with pytest.raises(ValueError, match="a field named 'x' is already in the form"):
        form.add_field(field.ToggleField("x", "X"))


def test_form_of_a_connector():
    from fivetran_connector_sdk.form import form_of

    form = sdk.ConfigurationForm()
    assert form_of(Connector(print, configuration_form=form)) is form
    assert form_of(Connector(print, configuration_form=lambda: form)) is form
    assert form_of(Connector(print)).fields == []
    with pytest.raises(TypeError, match="configuration_form must be a ConfigurationForm, got int"):
        form_of(Connector(print, configuration_form=lambda: 5))
