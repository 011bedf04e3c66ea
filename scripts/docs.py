#!/usr/bin/env python3
"""The parts of docs/ that repeat a table of the sources: scripts/docs.py [--fix]

Without --fix (make lint) it says which parts differ and fails; with it (make fmt) it writes them.
"""

import ast
import glob
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


CONFORMANCE = os.path.join(ROOT, "tests", "conformance")


def warehouses():
    """The classes of tests/conformance and the cases of its values; they import no driver."""
    for folder in (os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "engine"), CONFORMANCE):
        sys.path.insert(0, folder)
    import values

    import destinations

    return destinations.ALL, values.CASES


def tests():
    """(file, name, first line of its words, whether it needs a server) of each test of the suite."""
    for path in sorted(glob.glob(os.path.join(CONFORMANCE, "test_*.py"))):
        with open(path, encoding="utf-8") as f:
            tree = ast.parse(f.read())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                given = {a.arg for a in node.args.args}
                if given & {"pro", "knobs", "warehouse", "rig"}:
                    words = ast.get_docstring(node).split("\n")[0]
                    yield ast.get_docstring(tree), node.name, words, bool(given & {"rig", "net"})


def with_notes(lines):
    """Lines of a table whose cells may be Differences: those become numbers of notes, which follow."""
    notes = []
    for first, *cells in lines:
        texts = []
        for cell in cells:
            if not isinstance(cell, str):
                if cell.words not in notes:
                    notes.append(cell.words)
                cell = "%s [%d]" % ("differs" if cell.stored else "no", notes.index(cell.words) + 1)
            texts.append(cell)
        yield "| %s | %s |" % (first.replace("|", "\\|"), " | ".join(texts))
    if notes:
        yield ""
        yield from ("%d. %s." % (i, n) for i, n in enumerate(notes, 1))


def head(what, kinds):
    yield "| %s | %s |" % (what, " | ".join(k.title for k in kinds))
    yield "|---" * (len(kinds) + 1) + "|"


def value_cases():
    kinds, cases = warehouses()
    yield from head("values", kinds)
    yield from with_notes(
        [case.words, *(k.differs.get(name, "yes") for k in kinds)] for name, case in cases.items()
    )


def behaviour():
    kinds, _ = warehouses()
    last = None
    yield from head("what", kinds)
    lines = []
    for topic, name, words, on_server in tests():
        if topic != last:
            title = " ".join(topic.split("\n\n")[0].split())
            lines.append(["**%s**" % title.rstrip("."), *("" for _ in kinds)])
        last = topic
        lines.append([words.rstrip("."), *(
            "—" if on_server and not k.server else k.differs.get(name, "yes") for k in kinds)])  # fmt: skip
    yield from with_notes(lines)


def stored_types():
    kinds, _ = warehouses()
    yield from head("type", kinds)
    for name in kinds[0].types:
        yield "| %s | %s |" % (name, " | ".join("`%s`" % k.types[name].lower() for k in kinds))
    yield "| *name, bytes* | %s |" % " | ".join(str(k.name_max) for k in kinds)
    yield "| *columns of a table* | %s |" % " | ".join("{:,}".format(k.columns_max) for k in kinds)
    yield "| *tried against* | %s |" % " | ".join(k.against for k in kinds)


KINDS = {
    "TEXT": "text",
    "SECRET": "secret text",
    "INT": "number",
    "BOOL": "true or false",
    "CHOICE": "choice",
    "FILE": "text of a file",
    "SECRET_FILE": "text of a secret file",
}


def options(path, table):
    """The table of what a destination wants to know."""

    def lines():
        with open(os.path.join(ROOT, path)) as f:
            body = re.search(r"%s\[\] = \{\n(.*?)\n\};" % table, f.read(), re.S).group(1)
        body = re.sub(r'"\s*"', "", body)  # adjacent strings are one
        yield "| option | what it is | kind | default |"
        yield "|---|---|---|---|"
        for entry in re.findall(r"\{ (\.name = .*?) \}", body, re.S):
            o = dict(re.findall(r'\.(\w+) =\s+("(?:[^"\\]|\\.)*"|[\w.]+)', entry))
            o = {k: v.strip('"') for k, v in o.items()}
            kind = KINDS[o["kind"].replace("SL_OPTION_", "")]
            if kind == "choice":
                kind = ", ".join("`%s`" % c for c in o["choices"].split("|"))
            elif kind == "number":
                kind = "%s to %s" % (o["least"], o["most"])
            rest = "*required*" if o.get("required") == "true" else o.get("fallback", "")
            yield "| `%s` | %s: %s | %s | %s |" % (o["name"], o["label"], o["help"], kind, rest)

    return lines


PARTS = {
    "docs/destinations.md": {
        "options": options("src/destinations/duckdb/duckdb_dest.c", "options")
    },
    "docs/destinations/postgres.md": {
        "options": options("src/destinations/postgres/options.c", "sl_pg_options")
    },
    "docs/operations.md": {"settings": settings},
    "docs/conformance.md": {"types": stored_types, "values": value_cases, "behaviour": behaviour},
}


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
