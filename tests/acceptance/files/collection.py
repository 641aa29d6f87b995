"""Files that nobody here wrote: test files inside other projects' source distributions.

They are fetched at test time, with the ordinary clients, into a folder that git does not see, and
never committed. Their licences allow what tests do with them.
"""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
CACHE: Final = ROOT / ".setup" / "foreign-files"
FETCH_SECONDS_MAX: Final = 120
FILE_BYTES_MAX: Final = 4 * 1024**2
PINNED: Final = (
    "img2pdf==0.6.3",
    "markdown-it-py==4.3.0",
    "pikepdf==10.18.0",
    "pypdf==7.1.1",
    "pysubs2==1.8.1",
    "python-docx==1.2.0",
    "rarfile==4.5",
    "segno==1.6.6",
    "soundfile==0.14.0",
)
CODE: Final = frozenset({".py", ".pyi", ".c", ".h", ".cpp", ".toml", ".cfg", ".txt", ".in", ".rst"})


def fetched() -> list[Path]:
    """The source distributions that can be had here."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for package in PINNED:
        if not _is_there(package):
            _fetch(package)
    return sorted(CACHE.glob("*.tar.gz"))


def files(archives: list[Path]) -> Iterator[tuple[str, bytes]]:
    """What lies in them, but for their code: a name and the bytes."""
    for archive in archives:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and _is_of_interest(member):
                    stream = opened.extractfile(member)
                    assert stream is not None
                    yield member.name, stream.read()


def _is_there(package: str) -> bool:
    name, _, version = package.partition("==")
    return any(CACHE.glob(f"{name.replace('-', '[-_]')}-{version}.tar.gz"))


def _fetch(package: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--no-binary", ":all:", "-d", str(CACHE), package]
    try:
        subprocess.run(command, timeout=FETCH_SECONDS_MAX, check=False, capture_output=True)
    except subprocess.TimeoutExpired:
        return


def _is_of_interest(member: tarfile.TarInfo) -> bool:
    return 0 < member.size <= FILE_BYTES_MAX and Path(member.name).suffix not in CODE
