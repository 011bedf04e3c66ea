"""The child process as the engine starts it: START to DONE, and every way to fail."""
# ruff: noqa: E501 (tables of cases)

import json
import os
import signal
import struct
import textwrap
import time

import pytest

import wire

HEAD = """\
from fivetran_connector_sdk import Connector
from fivetran_connector_sdk import Logging as log
from fivetran_connector_sdk import Operations as op
"""
TAIL = "\nconnector = Connector(update=update)\n"


@pytest.fixture
def child(tmp_path, frames):
    """Start the runner on connector.py with this text; the usual head and tail are added unless whole."""
    started = []

    def start(text, whole=False, files=(), **options):
        text = textwrap.dedent(text)
        if text is not None:
            (tmp_path / "connector.py").write_text(
                text if whole else HEAD + text + TAIL, encoding="utf-8"
            )
        for name, content in dict(files).items():
            (tmp_path / name).write_text(textwrap.dedent(content))
        env = {"SLUICE_FRAMES": frames, **options.pop("env", {})}
        started.append(wire.Child(tmp_path, env=env, **options))
        return started[-1]

    yield start
    for one in started:
        with one:
            pass


def error_of(engine):
    (frame,) = engine.of("ERROR")
    assert engine.frames[-1] is frame, "ERROR is the last frame"
    assert not engine.of("DONE")
    return frame.json


def ends_well(run):
    code, engine = run
    assert [frame.json for frame in engine.of("ERROR")] == []
    assert engine.frames[-1].name == "DONE" and code == 0
    return engine


# ---------------------------------------------------------------------- good runs


def test_a_sync(child):
    text = (
        HEAD
        + """
def schema(configuration):
    assert configuration == {"key": "x"}
    return [{"table": "t", "primary_key": ["id"], "columns": {"id": "LONG"}}]

def update(configuration, state):
    log.info(f"from {state} with {configuration}")
    op.upsert("t", {"id": "1"})
    op.checkpoint({"n": 1})

connector = Connector(update=update, schema=schema)
if __name__ == "__main__":
    raise AssertionError
"""
    )
    engine = ends_well(child(text, whole=True).run(configuration={"key": "x"}, state={"n": 0}))
    hello = engine.frames[0].json
    assert hello["protocol"] == 2 and hello["language"].startswith("python 3")
    assert isinstance(hello["pid"], int) and hello["sdk"]
    names = [frame.name for frame in engine.frames[1:]]
    assert names == ["SCHEMA", "LOG", "TABLE", "SHAPE", "UPSERT", "CHECKPOINT", "DONE"]
    assert engine.of("LOG")[0].id == 3
    assert engine.of("LOG")[0].text == "from {'n': 0} with {'key': 'x'}"


def test_no_schema_function(child):
    engine = ends_well(child("def update(configuration, state): pass\n").run())
    assert engine.of("SCHEMA")[0].json == {"tables": []}


def test_schema_is_sent_as_written(child):
    text = (
        HEAD
        + """
def schema(configuration):
    yield {"table": "Orders", "schema": "S", "primary_key": ["Id"], "columns": {"Id": "long", "d": {"type": "DECIMAL", "precision": 9, "scale": 3}}}

def update(configuration, state):
    op.upsert("Orders", {"Id": "7", "d": 1.5}, schema="S")

connector = Connector(update, schema)
"""
    )
    engine = ends_well(child(text, whole=True).run())
    assert engine.of("SCHEMA")[0].json == {
        "tables": [
            {
                "schema": "S",
                "table": "Orders",
                "primary_key": ["Id"],
                "columns": [["Id", "LONG"], ["d", "DECIMAL", 9, 3]],
            }
        ]
    }
    assert engine.reader.rows("S.Orders") == [{"Id": (wire.LONG, 7), "d": (wire.DECIMAL, "1.5")}]


def test_done_counts(child):
    one = child("""
    def update(configuration, state):
        for i in range(3): op.upsert("t", {"a": [float("nan")]})
        op.update("t", {"a": 1}); op.delete("t", {"a": 1}); op.truncate("t"); op.checkpoint({})
    """)
    assert ends_well(one.run()).of("DONE")[0].json == {
        "upserts": 3, "updates": 1, "deletes": 1, "truncates": 1, "checkpoints": 1, "rounded": 0, "cut": 0, "replaced": 3,
    }  # fmt: skip


STYLES = {
    "plain": "def update(configuration, state):\n    op.upsert('t', {'i': 1}); op.checkpoint({'i': 1}); op.upsert('t', {'i': 2})",
    "yield": "def update(configuration, state):\n    yield op.upsert('t', {'i': 1})\n    yield op.checkpoint({'i': 1})\n    yield op.upsert('t', {'i': 2})",
    "yield from": "def update(configuration, state):\n    yield from op.upsert('t', {'i': 1})\n    yield from op.checkpoint({'i': 1})\n"
    "    yield from op.upsert('t', {'i': 2})",
    "mixed": "def update(configuration, state):\n    op.upsert('t', {'i': 1})\n    yield from op.checkpoint({'i': 1})\n    yield op.upsert('t', {'i': 2})",
    "coroutine": "import asyncio\nasync def update(configuration, state):\n    op.upsert('t', {'i': 1})\n    await asyncio.sleep(0)\n"
    "    op.checkpoint({'i': 1})\n    await asyncio.to_thread(op.upsert, 't', {'i': 2}) if hasattr(asyncio, 'to_thread') else op.upsert('t', {'i': 2})",
    "async generator": "import asyncio\nasync def update(configuration, state):\n    yield op.upsert('t', {'i': 1})\n    await asyncio.sleep(0)\n"
    "    yield op.checkpoint({'i': 1})\n    yield op.upsert('t', {'i': 2})",
    "threads": "import threading\ndef update(configuration, state):\n    t = threading.Thread(target=lambda: op.upsert('t', {'i': 1})); t.start(); t.join()\n"
    "    op.checkpoint({'i': 1})\n    op.upsert(table='t', data={'i': 2})",
    "bound early": "upsert, checkpoint = op.upsert, op.checkpoint\ndef update(configuration, state):\n    upsert('t', {'i': 1})\n"
    "    checkpoint(state={'i': 1})\n    upsert(table='t', data={'i': 2})",
    "callable object": "class U:\n    def __call__(self, configuration, state):\n        op.upsert('t', {'i': 1}); op.checkpoint({'i': 1})\n"
    "        op.upsert('t', {'i': 2})\nupdate = U()",
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_update(child, style):
    engine = ends_well(child(STYLES[style]).run())
    assert engine.reader.events[-4:-1] == [
        ("UPSERT", "t", {"i": (wire.LONG, 1)}),
        ("CHECKPOINT", 0, '{"i":1}'),
        ("UPSERT", "t", {"i": (wire.LONG, 2)}),
    ]


def test_update_runs_in_the_main_thread_with_the_project_importable(child):
    one = child(
        """
        import threading
        import helper
        def update(configuration, state):
            import connector, connector_connector_code
            assert connector is connector_connector_code and connector.__name__ == "connector"
            assert threading.current_thread() is threading.main_thread()
            op.upsert("t", {"v": helper.VALUE})
        """,
        files={"helper.py": "VALUE = 5"},
    )
    assert ends_well(one.run()).reader.rows() == [{"v": (wire.LONG, 5)}]


def test_state_is_fresh_and_configuration_is_a_dict(child):
    one = child("""
    def update(configuration, state):
        assert type(configuration) is dict and type(state) is dict
        state["n"] = state.get("n", 0) + 1
        op.checkpoint(state)
        state["n"] = 99
    """)
    assert ends_well(one.run(state={"n": 4})).of("CHECKPOINT")[0].text == '{"n":5}'


def test_a_test_ends_after_schema(child):
    text = (
        HEAD
        + """
def schema(configuration):
    return [{"table": "t", "primary_key": ["id"]}]

def update(configuration, state):
    raise AssertionError("update() ran")

connector = Connector(update=update, schema=schema)
"""
    )
    engine = ends_well(child(text, whole=True).run(mode="test"))
    (schema,) = engine.of("SCHEMA")
    assert [t["table"] for t in schema.json["tables"]] == ["t"]
    assert not any(engine.of("DONE")[0].json.values())
    assert not engine.of("CHECKPOINT") and not engine.of("UPSERT")


FORM = """
from fivetran_connector_sdk import ConfigurationForm, Test, form_field

def works(configuration):
    log.info("looking")
    return Test.success()

def refuses(configuration):
    return Test.failure("no such host: " + configuration["host"])

def breaks(configuration):
    return configuration["absent"]

def leaves(configuration):
    raise SystemExit(3)

def configuration_form():
    return (
        ConfigurationForm()
        .add_field(form_field.TextField("host", "Host", required=True))
        .add_field(form_field.TextField("key", "Key", form_field.TextField.password))
        .add_test(label="Works", func=works)
        .add_test(label="Refuses", func=refuses)
        .add_test(label="Breaks", func=breaks)
        .add_test(label="Leaves", func=leaves)
    )

def schema(configuration):
    raise AssertionError("schema() ran")

def update(configuration, state):
    raise AssertionError("update() ran")

connector = Connector(update=update, schema=schema, configuration_form=configuration_form)
"""


def test_the_form(child):
    engine = ends_well(child(HEAD + FORM, whole=True).run(mode="form"))
    (form,) = engine.of("FORM")
    assert [(f["name"], f["kind"]) for f in form.json["fields"]] == [
        ("host", "text"),
        ("key", "password"),
    ]
    assert [t["label"] for t in form.json["tests"]] == ["Works", "Refuses", "Breaks", "Leaves"]
    assert not engine.of("TEST") and not engine.of("SCHEMA")
    assert not any(engine.of("DONE")[0].json.values())


def test_tests_of_the_form(child):
    names = ["works", "refuses", "breaks", "leaves", "absent"]
    one = child(HEAD + FORM, whole=True)
    engine = ends_well(one.run(mode="form", tests=names, configuration={"host": "h"}))
    results = [frame.json for frame in engine.of("TEST")]
    line = FORM[: FORM.index('configuration["absent"]')].count("\n") + HEAD.count("\n") + 1
    assert [r["name"] for r in results] == names
    assert [r["passed"] for r in results] == [True, False, False, False, False]
    assert [r["message"] for r in results] == [
        None, "no such host: h", f"KeyError: 'absent' (connector.py:{line})",
        f"SystemExit: 3 (connector.py:{line + 3})", "the form has no test named 'absent'",
    ]  # fmt: skip
    assert [frame.text for frame in engine.of("LOG")] == ["looking"]


def test_no_form(child):
    engine = ends_well(child("def update(configuration, state): pass").run(mode="form"))
    assert engine.of("FORM")[0].json == {"fields": [], "tests": []}


@pytest.mark.parametrize(
    "form, error, line",
    [
        ("lambda: form_field.TextField('', 'x')", "ValueError: name must not be empty", 10),
        ("form_field.DropdownField('r', 'R', fields=[])", "ValueError: DropdownField 'r' must define", 10),
        ("lambda: 5", "TypeError: configuration_form must be a ConfigurationForm, got int", None),
    ],
)  # fmt: skip
def test_a_form_that_fails(child, form, error, line):
    text = (
        HEAD
        + "from fivetran_connector_sdk import form_field\n\n\ndef update(configuration, state):\n    pass\n\n"
        + f"connector = Connector(update=update, configuration_form={form})\n"
    )
    code, engine = child(text, whole=True).run(mode="form")
    found = error_of(engine)
    assert code == 1 and f"{found['type']}: {found['message']}".startswith(error), found
    assert found["line"] == line and found["phase"] == ("load" if "lambda" not in form else "form")
    assert line is None or found["file"] == "connector.py"


def test_files_of_the_project_do_not_hide_modules_of_python(child):
    names = ("traceback", "inspect", "linecache", "ast", "tokenize", "uuid", "asyncio")
    one = child("""
    async def update(configuration, state, extra=None):
        raise ValueError("the author's own")
    """, files={f"{name}.py": "raise RuntimeError('hidden')" for name in names})  # fmt: skip
    code, engine = one.run()
    error = error_of(engine)
    assert code == 1 and error["type"] == "ValueError", error
    assert "connector.py" in error["traceback"]


@pytest.mark.parametrize("mode, model", [("debug", "local_debug"), ("sync", None)])
def test_environment(child, mode, model):
    one = child("""
    import os
    def update(configuration, state):
        names = "FIVETRAN_CONNECTION_ID FIVETRAN_DEPLOYMENT_MODEL FIVETRAN_GROUP_ID FIVETRAN_CONNECTION_NAME"
        op.checkpoint({n: os.environ.get(n) for n in names.split()})
    """, env={"FIVETRAN_GROUP_ID": "mine"})  # fmt: skip
    state = json.loads(ends_well(one.run(mode=mode)).of("CHECKPOINT")[0].text)
    assert state["FIVETRAN_DEPLOYMENT_MODEL"] == model
    assert state["FIVETRAN_CONNECTION_ID"] == (model and "test_connection_id")
    assert state["FIVETRAN_CONNECTION_NAME"] == (model and "test_connection_name")
    assert state["FIVETRAN_GROUP_ID"] == "mine"


def test_print_goes_where_it_always_went(child):
    one = child("""
    import sys
    def update(configuration, state):
        print("to stdout")
        print("to stderr", file=sys.stderr)
    """)
    ends_well(one.run())
    assert (one.stdout, one.stderr) == ("to stdout\n", "to stderr\n")


def test_log_levels(child):
    one = child("""
    log.warning("at import")
    def update(configuration, state):
        log.debug("d"); log.fine("f"); log.info("i"); log.warning(5); log.error("e"); log.severe("s", ValueError("why")); log.critical("c\\ud800")
        op.upsert("t", {"a": object})
        assert log.LOG_LEVEL == log.Level.WARNING
    """)
    logs = ends_well(one.run(log_level=4)).of("LOG")
    assert [(frame.id, frame.text) for frame in logs] == [
        (4, "at import"), (4, "5"), (5, "e"), (6, "s\nValueError: why"), (7, "c\\ud800"),
        (4 | 256, "t.a: values of type type are stored as text, by str()"),
    ]  # fmt: skip


def test_warning(child):
    one = child("""
    def update(configuration, state):
        op.upsert("t", {"a": 1})
        yield op.warning("look here")
    """)
    assert [frame.name for frame in ends_well(one.run()).frames[2:]] == [
        "TABLE",
        "SHAPE",
        "UPSERT",
        "WARNING",
        "DONE",
    ]
    assert one.engine.of("WARNING")[0].text == "look here"


def test_debug_at_import_is_ignored_with_a_warning(child):
    one = child(
        HEAD
        + "def update(configuration, state): op.upsert('t', {'a': 1})\nconnector = Connector(update)\nconnector.debug()\n",
        whole=True,
    )
    engine = ends_well(one.run())
    assert (
        engine.of("LOG")[0].id == 4 | 256
        and "connector.debug() is ignored" in engine.of("LOG")[0].text
    )
    assert len(engine.reader.rows()) == 1


def test_rows_of_a_quiet_connector_are_sent_soon(child):
    one = child("""
    import threading
    def update(configuration, state):
        op.upsert("t", {"a": 1})
        threading.Event().wait()
    """)
    one.engine.sock.settimeout(5)
    hello = one.engine.read_frame()
    one.engine.sock.sendall(wire.start_frame())
    while one.engine.read_frame().name != "UPSERT":
        pass
    assert hello.name == "HELLO"


def test_a_default_timeout_of_sockets_does_not_matter(child):
    one = child("""
    import socket
    socket.setdefaulttimeout(0.01)
    def update(configuration, state):
        for i in range(20000): op.upsert("t", {"i": i, "text": "x" * 100})
    """)
    one.engine.on_frame = lambda frame: time.sleep(0.2) if frame.name == "SCHEMA" else None
    assert len(ends_well(one.run()).reader.rows()) == 20000


# ---------------------------------------------------------------------- failures of the project


def test_no_connector_py(tmp_path, frames):
    with wire.Child(tmp_path, env={"SLUICE_FRAMES": frames}) as one:
        code, engine = one.run()
    error = error_of(engine)
    assert (
        code == 1 and error["phase"] == "load" and "connector.py not found in" in error["message"]
    )
    assert "lowercase" in error["hint"]


@pytest.mark.parametrize(
    "text, message, hint",
    [
        (
            "myc = Connector(update=print)",
            "Connector object must be named 'connector', but found: 'myc'",
            "rename it: connector = ",
        ),
        ("x = 1", "connector object not found in connector.py", "connector = Connector("),
        (
            "connector = 5",
            "'connector' in connector.py must be a Connector object, got int",
            "connector = Connector(",
        ),
    ],
)
def test_no_connector_object(child, text, message, hint):
    code, engine = child(HEAD + text + "\n", whole=True).run()
    error = error_of(engine)
    assert (
        code == 1
        and error["phase"] == "load"
        and error["message"] == message
        and hint in error["hint"]
    )


def test_syntax_error(child):
    code, engine = child("x = 1\ndef broken(:\n    pass\n", whole=True).run()
    error = error_of(engine)
    assert (error["phase"], error["type"], error["file"], error["line"]) == (
        "load",
        "SyntaxError",
        "connector.py",
        2,
    )


@pytest.mark.parametrize(
    "name, package",
    [("no_such_thing_here", "no_such_thing_here"), ("yaml_missing.sub", "yaml_missing")],
)
def test_missing_module(child, name, package):
    code, engine = child(f"x = 1\nimport {name}\n", whole=True).run()
    error = error_of(engine)
    assert (error["type"], error["line"]) == ("ModuleNotFoundError", 2)
    assert error["hint"] == f"add {package} to requirements.txt"


def test_error_at_import_in_a_helper(child):
    one = child(
        "import helper\n" + HEAD,
        whole=True,
        files={"helper.py": "def f():\n    return 1 / 0\n\nf()\n"},
    )
    error = error_of(one.run()[1])
    assert (error["phase"], error["type"], error["message"]) == (
        "load",
        "ZeroDivisionError",
        "division by zero",
    )
    assert (error["file"], error["line"], error["function"]) == ("helper.py", 2, "f")
    assert (
        "connector.py" in error["traceback"] and "fivetran_connector_sdk/" not in error["traceback"]
    )
    assert "importlib" not in error["traceback"]


def test_schema_that_fails(child):
    text = (
        HEAD
        + "def schema(c):\n    return [{'table': 't', 'primary_key': 'id'}]\nconnector = Connector(print, schema)\n"
    )
    error = error_of(child(text, whole=True).run()[1])
    assert (error["phase"], error["type"]) == ("schema", "TypeError")
    assert error["message"] == "t: primary_key must be a list of column names, got str 'id'"
    assert error["hint"] == "write ['id']"


def test_operations_before_update(child):
    text = (
        HEAD
        + "def schema(c):\n    op.upsert('t', {'a': 1})\n\ndef update(configuration, state): pass\nconnector = Connector(update, schema)\n"
    )
    error = error_of(child(text, whole=True).run()[1])
    assert (error["phase"], error["type"], error["line"]) == ("schema", "RuntimeError", 5)
    assert error["message"].startswith("op.upsert() was called before update()")


# ---------------------------------------------------------------------- failures of update()


def test_exception(child):
    code, engine = child("""
    def update(configuration, state):
        op.upsert("t", {"a": 1})
        inner()

    def inner():
        try:
            {}["k"]
        except KeyError as error:
            raise RuntimeError("it broke") from error
    """).run()
    error = error_of(engine)
    assert code == 1
    assert (error["phase"], error["type"], error["message"], error["exit"]) == (
        "update",
        "RuntimeError",
        "it broke",
        None,
    )
    assert (error["file"], error["line"], error["function"]) == ("connector.py", 13, "inner")
    assert "KeyError: 'k'" in error["traceback"] and "direct cause" in error["traceback"]
    assert "_session" not in error["traceback"]
    assert len(engine.reader.rows()) == 1, "what was sent before is there; the engine discards it"


def test_a_value_that_does_not_fit(child):
    text = (
        HEAD
        + """
def schema(configuration):
    return [{"table": "orders", "primary_key": ["id"], "columns": {"amount": "LONG"}}]

def update(configuration, state):
    yield op.upsert(table="orders", data={"id": 1, "amount": "abc"})

connector = Connector(update, schema)
"""
    )
    error = error_of(child(text, whole=True).run()[1])
    assert (error["type"], error["message"]) == (
        "ValueError",
        "orders.amount: expected LONG, got str 'abc'",
    )
    assert (error["file"], error["line"], error["function"]) == ("connector.py", 9, "update")
    assert error["hint"] == "the text is not a number; send None for a missing one"
    assert error["traceback"].rstrip().endswith("hint: " + error["hint"])


@pytest.mark.parametrize(
    "call, number, code",
    [
        ("sys.exit()", 0, 1),
        ("sys.exit(0)", 0, 1),
        ("sys.exit(3)", 3, 3),
        ("sys.exit('bye')", 1, 1),
        ("exit()", 0, 1),
    ],
)
def test_exit_is_a_failure(child, call, number, code):
    got, engine = child(
        f"import sys\ndef update(configuration, state):\n    op.upsert('t', {{'a': 1}})\n    {call}\n"
    ).run()
    error = error_of(engine)
    assert (error["type"], error["exit"], got) == ("SystemExit", number, code)
    assert "op.error()" in error["hint"] and error["line"] == 7


def test_os_exit_is_the_end_of_the_stream(child):
    code, engine = child(
        "import os\ndef update(configuration, state):\n    op.checkpoint({})\n    os._exit(0)\n"
    ).run()
    assert engine.frames[-1].name == "CHECKPOINT"


def test_base_exception_is_a_failure(child):
    error = error_of(
        child(
            "class Odd(BaseException): pass\ndef update(configuration, state):\n    raise Odd('x')\n"
        ).run()[1]
    )
    assert (error["type"], error["message"]) == ("Odd", "x")


def test_keyboard_interrupt(child):
    one = child(
        "import time\ndef update(configuration, state):\n    op.checkpoint({})\n    time.sleep(60)\n"
    )
    one.engine.on_frame = lambda frame: one.interrupt() if frame.name == "CHECKPOINT" else None
    code, engine = one.run()
    assert error_of(engine)["type"] == "KeyboardInterrupt" and code == 130


def test_parameters_with_other_names(child):
    error = error_of(child("def update(config, state):\n    pass\n").run()[1])
    assert error["type"] == "TypeError" and "configuration= and state=" in error["message"]
    assert error["hint"] == "define it as def update(configuration: dict, state: dict)"


def test_op_error(child):
    code, engine = child("""
    def update(configuration, state):
        op.upsert("t", {"a": 1})
        try:
            op.error("renew the key", trace="401 Unauthorized")
        except Exception:
            op.upsert("t", {"a": 2})
        op.upsert("t", {"a": 3})
    """).run()
    assert code == 1
    (frame,) = engine.of("ERROR")
    assert frame.id == 1 and engine.frames[-1] is frame
    error = frame.json
    assert (error["phase"], error["message"], error["traceback"]) == (
        "op",
        "renew the key",
        "401 Unauthorized",
    )
    assert (error["file"], error["line"], error["function"]) == ("connector.py", 8, "update")
    assert len(engine.reader.rows()) == 1


def test_op_error_that_is_swallowed_is_still_the_end(child):
    code, engine = child("""
    def update(configuration, state):
        try:
            op.error("over")
        except BaseException:
            pass
    """).run()
    assert code == 1 and engine.frames[-1].name == "ERROR" and engine.frames[-1].id == 1


@pytest.mark.parametrize(
    "call, message",
    [
        ("op.error('')", "Message must be a non-empty string"),
        ("op.error(5)", "Message must be a string, got int"),
        ("op.error('x', trace=5)", "Trace must be a string, got int"),
        ("op.warning(' ')", "Message must be a non-empty string"),
        ("op.checkpoint(None)", "checkpoint state must be a dict, got None"),
    ],
)
def test_messages_are_checked(child, call, message):
    error = error_of(child(f"def update(configuration, state):\n    {call}\n").run()[1])
    assert error["message"] == message


def test_operations_of_a_forgotten_thread_after_the_end(child):
    one = child("""
    import threading, sys
    go = threading.Event()
    def late():
        go.wait()
        while True:
            try:
                op.upsert("t", {"late": 1})
            except BaseException as error:
                print("late:", error, flush=True)
                return
    def update(configuration, state):
        threading.Thread(target=late).start()
        threading.Timer(0.2, go.set).start()
    """)
    code, engine = one.run()
    assert engine.frames[-1].name == "DONE" and code == 0
    assert one.stdout == "late: update() has returned: no operation can follow\n"


# ---------------------------------------------------------------------- STOP, ACK, the engine's end


def test_stop(child):
    one = child("""
    def update(configuration, state):
        i = 0
        try:
            while True:
                op.upsert("t", {"i": i}); i += 1
        except Exception:
            raise SystemExit("not reached: SyncCancelled is no Exception")
        finally:
            print("cleaned up")
    """)
    one.engine.on_frame = lambda f: (
        one.engine.sock.sendall(wire.pack(66, 1)) if f.name == "SCHEMA" else None
    )
    code, engine = one.run()
    error = error_of(engine)
    assert (error["type"], error["message"], code) == (
        "SyncCancelled",
        "the sync was stopped by the user",
        1,
    )
    assert one.stdout == "cleaned up\n"


def test_durable_checkpoint_waits_for_its_ack(child):
    one = child("""
    def update(configuration, state):
        op.checkpoint({"n": 1})
        op.checkpoint({"n": 2}, durable=True)
        op.upsert("t", {"after": 2})
    """)
    seen = []

    def on_frame(frame):
        seen.append(frame.name)
        if frame.name == "CHECKPOINT" and frame.id == 1:
            assert "UPSERT" not in seen
            one.engine.sock.sendall(wire.pack(67, 0, struct.pack("<Q", 1)))
            one.engine.sock.settimeout(0.3)
            with pytest.raises(OSError):
                one.engine.sock.recv(1)
            one.engine.sock.settimeout(30)
            one.engine.sock.sendall(wire.pack(67, 0, struct.pack("<Q", 2)))

    one.engine.on_frame = on_frame
    assert len(ends_well(one.run()).reader.rows()) == 1


def test_start_can_make_every_checkpoint_durable(child):
    one = child("def update(configuration, state):\n    op.checkpoint({})\n")
    one.engine.on_frame = lambda f: (
        f.name == "CHECKPOINT" and one.engine.sock.sendall(wire.pack(67, 0, struct.pack("<Q", 1)))
    )
    assert ends_well(one.run(durable=True)).of("CHECKPOINT")[0].id == 1


def test_stop_ends_the_wait_for_an_ack(child):
    one = child("def update(configuration, state):\n    op.checkpoint({}, durable=True)\n")
    one.engine.on_frame = lambda f: (
        f.name == "CHECKPOINT" and one.engine.sock.sendall(wire.pack(66, 3))
    )
    error = error_of(one.run()[1])
    assert (error["type"], error["message"]) == (
        "SyncCancelled",
        "the sync was stopped: its time is over",
    )


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(60)",
        "[op.upsert('t', {'i': 1}) for _ in iter(int, 1)]",
        "op.checkpoint({}, durable=True)",
        "threading.Event().wait()",
    ],
    ids=["sleep", "rows", "durable", "lock"],
)
def test_the_process_ends_within_a_second_of_the_engine(child, body):
    one = child(
        f"import time, threading\ndef update(configuration, state):\n    op.checkpoint({{}})\n    {body}\n"
    )
    hello = one.engine.read_frame()
    assert hello.name == "HELLO"
    one.engine.sock.sendall(wire.start_frame())
    while one.engine.read_frame().name != "CHECKPOINT":
        pass
    one.engine.sock.close()
    began = time.monotonic()
    assert one.wait() != 0
    assert time.monotonic() - began < 1.5


def test_a_deadly_sigpipe_does_not_matter(child, frames):
    if frames == "python":
        pytest.skip("the pure encoder writes as Python does")
    one = child("""
    import signal
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    def update(configuration, state):
        try:
            while True: op.checkpoint({})
        finally:
            print("cleaned up")
    """)
    one.engine.read_frame()
    one.engine.sock.sendall(wire.start_frame())
    while one.engine.read_frame().name != "CHECKPOINT":
        pass
    one.engine.sock.close()
    assert one.wait() == 1 and one.stdout == "cleaned up\n"


def test_the_engine_goes_before_start(child):
    one = child("def update(configuration, state): pass\n")
    one.engine.read_frame()
    one.engine.sock.close()
    assert one.wait() == 1


def test_a_protocol_nobody_knows(child):
    code, engine = child("def update(configuration, state): pass\n").run(protocol=99)
    error = error_of(engine)
    assert "speaks protocol 99" in error["message"] and code == 1


def test_lingering_threads_do_not_keep_the_process(child):
    one = child("""
    import threading
    def update(configuration, state):
        threading.Thread(target=threading.Event().wait).start()
    """)
    engine = one.engine.serve()
    assert engine.frames[-1].name == "DONE"
    engine.sock.close()
    assert one.wait(timeout=10) == 0


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="posix")
def test_death_of_the_parent_reaches_a_runner_that_hangs(tmp_path, frames):
    if frames == "python":
        pytest.skip("the closed socket does it")
    (tmp_path / "connector.py").write_text(
        HEAD
        + "import signal, time\ndef update(configuration, state):\n    op.checkpoint({'pid': __import__('os').getpid()})\n    time.sleep(60)\n"
        + TAIL
    )
    # The middle process starts the runner, keeps our end of the socket open through us, and dies.
    import socket
    import subprocess
    import sys

    ours, theirs = socket.socketpair()
    middle = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys, os\n"
         "subprocess.Popen([sys.executable, '-m', 'fivetran_connector_sdk._runner', '--fd', sys.argv[1], '--project', sys.argv[2]],"
         " pass_fds=[int(sys.argv[1])])\nsys.stdin.read()", str(theirs.fileno()), str(tmp_path)],
        pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=wire.package_path()),
    )  # fmt: skip
    theirs.close()
    engine = wire.Engine(ours)
    assert engine.read_frame().name == "HELLO"
    ours.sendall(wire.start_frame())
    while engine.read_frame().name != "CHECKPOINT":
        pass
    middle.kill()
    middle.communicate()
    assert engine.read_frame() is None, "its socket closes because it was told to end"


def test_usage():
    import subprocess
    import sys

    env = dict(os.environ, PYTHONPATH=wire.package_path())
    done = subprocess.run(
        [sys.executable, "-m", "fivetran_connector_sdk._runner", "--fd", "x"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.startswith("usage: ")
