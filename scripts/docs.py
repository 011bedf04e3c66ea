#!/usr/bin/env python3
"""The parts of docs/ that repeat a table of the sources: scripts/docs.py [--fix]

Without --fix (make lint) it says which parts differ and fails; with it (make fmt) it writes them.
"""

import os
import re
import sys

from steps import ROOT

STRING = r'"((?:[^"\\]|\\.)*)"'


def entries(path, table):
    """Fields of each entry of a table of options in C: text, or None for NULL."""
    with open(os.path.join(ROOT, path)) as f:
        source = f.read()
    defines = dict(re.findall(r"^#define (\w+) (\".*\")$", source, re.M))
    body = re.search(r"%s\[\] = \{(.*?)\n\};" % table, source, re.S).group(1)
    for name, value in defines.items():
        body = re.sub(r"\b%s\b" % name, lambda _, value=value: value, body)
    body = re.sub(r'"\s*"', "", body)  # adjacent strings are one
    for entry in re.findall(r"\{\s*((?:%s|[^{}])*?)\s*\}" % STRING, body):
        fields = re.findall(r"%s|\b(NULL)\b" % STRING, entry[0])
        if fields:
            yield [None if null else text.replace('\\"', '"') for text, null in fields]


def settings():
    """Flags, variables and lines of the file: one table of the server."""
    yield "| flag, and name in the file | variable | what |"
    yield "|---|---|---|"
    for name, arg, env, words in entries("src/server/settings.c", "sl_serve_opts"):
        flag = "`--%s%s`" % (name, " " + arg if arg else "")
        yield "| %s | `%s` | %s |" % (flag, env, words.replace("|", "\\|"))


PARTS = {"docs/operations.md": {"settings": settings}}


def with_parts(text, parts):
    for name, lines in parts.items():
        begin = "<!-- %s: written by scripts/docs.py -->\n" % name
        end = "<!-- end of %s -->\n" % name
        before, rest = text.split(begin)
        text = before + begin + "".join(x + "\n" for x in lines()) + end + rest.split(end)[1]
    return text


def main(fix):
    wrong = []
    for path, parts in PARTS.items():
        full = os.path.join(ROOT, path)
        with open(full, encoding="utf-8") as f:
            text = f.read()
        made = with_parts(text, parts)
        if made != text and fix:
            with open(full, "w", encoding="utf-8") as f:
                f.write(made)
        elif made != text:
            wrong.append("%s:1: differs from the sources: make fmt" % path)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main("--fix" in sys.argv))
