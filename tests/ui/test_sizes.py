"""What a browser has to load."""

from pathlib import Path

WEB = Path(__file__).parents[2] / "web"
KB = 1000


def size_of(pattern):
    return sum(f.stat().st_size for f in WEB.glob(pattern))


def test_scripts_and_styles_are_small():
    assert 0 < size_of("*.js") <= 60 * KB and 0 < size_of("*.css") <= 40 * KB
    for module in WEB.glob("*.js"):
        assert len(module.read_text().splitlines()) <= 300, module
