#!/usr/bin/env python3
"""make demo: install the clone into a fresh venv, run the tutorial there, end with the row."""

import os
import shutil
import subprocess
import tempfile

from steps import ROOT, Failed, default_python, line, main, make_venv, name, pythons, step

TUTORIAL = os.path.join(ROOT, "examples", "tutorial")
ROW = "If you can read this, you have the correct key"


def demo():
    found = pythons()
    minor = default_python(found)
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as work:
        venv = os.path.join(work, "venv")
        project = os.path.join(work, "my_fivetran_connector")
        commands = os.path.join(venv, "bin")
        step(
            "demo: fresh venv with Python %s" % name(minor),
            make_venv(venv, found[minor]["path"], with_pip=True),
        )
        step(
            "demo: pip install .",
            [os.path.join(commands, "pip"), "install", "--disable-pip-version-check", ROOT],
        )
        shutil.copytree(TUTORIAL, project)
        env = {
            **os.environ,
            "PATH": commands + os.pathsep + os.environ["PATH"],
            "VIRTUAL_ENV": venv,
        }
        shown = ""
        for command in (
            "fivetran --version",
            "fivetran debug --configuration configuration.json",
            "fivetran show",
        ):
            print("\n$ %s" % command, flush=True)
            with subprocess.Popen(
                command.split(), cwd=project, env=env, stdout=subprocess.PIPE, text=True, bufsize=1
            ) as running:
                shown = ""
                for text in running.stdout:
                    print(text, end="", flush=True)
                    shown += text
            if running.returncode:
                line("demo: %s" % command, "FAILED with exit code %d" % running.returncode)
                raise Failed(command)
        if ROW not in shown:
            line("demo", "FAILED: the row is not there")
            raise Failed("demo")


if __name__ == "__main__":
    main(demo)
