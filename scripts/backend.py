"""The build backend of pyproject.toml: meson-python, plus the one thing that cannot be said there.

The C extension uses the limited API of Python 3.10. On 3.9 it is built for 3.9 alone, and
meson-python has to be told so, or it would look for an abi3 extension and refuse.
"""

import sys

import mesonpy
from mesonpy import *  # noqa: F403


def _settings(given):
    settings = dict(given or {})
    if sys.version_info < (3, 10):
        args = settings.get("setup-args", [])
        settings["setup-args"] = ([args] if isinstance(args, str) else list(args)) + [
            "-Dpython.allow_limited_api=false"
        ]
    return settings


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return mesonpy.build_wheel(wheel_directory, _settings(config_settings), metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return mesonpy.build_editable(wheel_directory, _settings(config_settings), metadata_directory)
