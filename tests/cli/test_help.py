"""Help, version, typing mistakes."""

import pytest

COMMANDS = [
    "debug",
    "reset",
    "configuration",
    "init",
    "package",
    "show",
    "doctor",
    "deploy",
    "version",
    "login",
    "logout",
]


@pytest.mark.parametrize("word", ["--version", "version", "VERSION", "-V"])
def test_version(project, word):
    result = project.run(word)
    assert result.code == 0
    first, second = result.out.splitlines()
    assert first.startswith("fivetran-connector-sdk 0.")
    assert "independent, compatible implementation" in second


def test_no_command_prints_help_and_fails(project):
    result = project.run()
    assert result.code == 1
    for command in COMMANDS:
        assert f"  {command} " in result.out


@pytest.mark.parametrize("word", ["--help", "help", "-h", "HELP"])
def test_help(project, word):
    result = project.run(word)
    assert result.code == 0
    assert "usage: fivetran <command>" in result.out
    assert "_session" not in result.out


def test_help_of_a_command_lists_its_options(project):
    options = "configuration state naming log-level no-isolation refresh"
    options += " durable-checkpoints idle-timeout memory-limit python"
    for args in (["debug", "--help"], ["help", "debug"], ["DEBUG", "-h"]):
        result = project.run(*args)
        assert result.code == 0
        for option in options.split():
            assert f"--{option}" in result.out
        assert "FIVETRAN_CONFIGURATION" in result.out


@pytest.mark.parametrize(
    "word, meant",
    [
        ("debgu", "debug"),
        ("rest", "reset"),
        ("deplyo", "deploy"),
        ("pakage", "package"),
        ("verify", "debug"),
        ("test", "debug"),
        ("ship", "deploy"),
        ("diagnose", "debug"),
        ("upload", "deploy"),
        ("launch", "deploy"),
        ("reinitialize", "reset"),
        ("restore", "reset"),
    ],
)
def test_typing_mistakes_and_synonyms(project, word, meant):
    result = project.run(word)
    assert result.code == 1
    assert f"unknown command: {word}" in result.err
    assert f"did you mean `fivetran {meant}`?" in result.err


def test_a_word_that_is_like_nothing(project):
    result = project.run("bananas")
    assert result.code == 1
    assert "invalid command: bananas, see `fivetran help`" in result.err


def test_unknown_option(project):
    result = project.run("debug", "--configration", "x")
    assert result.code == 2
    assert "did you mean --configuration?" in result.err


def test_option_without_value(project):
    result = project.run("debug", "--configuration")
    assert result.code == 2
    assert "--configuration needs a value" in result.err


@pytest.mark.parametrize(
    "args, words",
    [
        (["--naming", "SNAKE"], "--naming is FIVETRAN or SOURCE"),
        (["--log-level", "LOUD"], "--log-level is one of"),
        (["--idle-timeout", "soon"], "--idle-timeout is a number"),
        (["--memory-limit", "much"], "--memory-limit is a size"),
        (["a", "b"], 'does not know what to do with "b"'),
    ],
)
def test_bad_values(project, args, words):
    result = project.debug(*args)
    assert result.code == 2
    assert words in result.err


def test_invalid_project_path(project):
    result = project.debug("nowhere")
    assert result.code == 1
    assert "Invalid project path: 'nowhere' does not exist or is not a directory." in result.err
