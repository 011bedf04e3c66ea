#!/usr/bin/env python3
"""make screenshots: every page and tab of the dashboard, light and dark, wide and phone, in build/screenshots.

scripts/screenshots.py [NAME …]   only these (connections, alerts, tab_logs, …)
Needs what `make test` made: the commands in SLUICE_TEST_BIN (or the debug build), Chromium, and playwright.
"""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "build", "screenshots")
DEBUG = os.path.join(ROOT, "build", "debug")
SIZES = {"wide": (1280, 800), "phone": (390, 844)}
WHO = ("ann@example.com", "correct horse battery")

sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "ui")]


def prepare():
    """The folder of the commands; those of the source tree need to be told where their parts are."""
    if "SLUICE_TEST_BIN" in os.environ:
        return os.environ["SLUICE_TEST_BIN"]
    os.environ.setdefault(
        "SLUICE_PACKAGE_DIR", os.path.join(ROOT, "python", "fivetran_connector_sdk")
    )
    os.environ.setdefault("SLUICE_DUCKDB_LIB", os.path.join(ROOT, "third_party", "libduckdb.so"))
    return DEBUG


def add_user(bin_dir, server):
    subprocess.run(
        [
            os.path.join(bin_dir, "sluiced"),
            "user",
            "add",
            WHO[0],
            "--role",
            "admin",
            "--name",
            "Ann",
            "--data",
            server.data,
        ],
        env=server.env,
        input=WHO[1] + "\n",
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def shoot(page, server, name, path):
    page.goto(server.url + path)
    page.locator("main").wait_for()
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=os.path.join(OUT, f"{name}-{size}-{scheme}.png"))


def main():
    bin_dir, only = prepare(), sys.argv[1:]
    import sample
    from playwright.sync_api import sync_playwright

    from harness import start_server

    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with (
        tempfile.TemporaryDirectory(prefix="sluice-shots-") as folder,
        start_server(os.path.join(folder, "data"), bin_dir) as server,
        sync_playwright() as p,
    ):
        add_user(bin_dir, server)
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=args)
        page = browser.new_page()
        if not only or "login" in only:
            shoot(page, server, "login", "/dashboard/login")
        page.goto(server.url + "/dashboard/login")
        page.get_by_label("E-mail").fill(WHO[0])
        page.get_by_label("Password").fill(WHO[1])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/dashboard/connections")
        if not only or "empty" in only:
            shoot(page, server, "empty", "/dashboard/connections")
        con = sample.fill(server)
        for name, path in sample.paths(server, con).items():
            if not only or name in only:
                shoot(page, server, name, path)
        browser.close()
    print(f"{len(os.listdir(OUT))} pictures in {os.path.relpath(OUT, ROOT)}")


if __name__ == "__main__":
    main()
