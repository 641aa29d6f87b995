"""Looks over office documents, which are ZIP archives of XML, before a library unpacks them."""

import zipfile
from typing import IO
from xml.parsers import expat

from processors.tools.archives import ENTRIES_MAX, Meter
from processors.tools.base import (
    MIB,
    ArchiveBomb,
    CorruptFile,
    InputFile,
    PasswordRequired,
    UnsupportedMediaType,
)
from processors.tools.parsing import parsing

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"
OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_PART = "EncryptedPackage".encode("utf-16-le")
ENCRYPTED = 0x1
XML_SUFFIXES = (".xml", ".rels", ".opf", ".ncx", ".xhtml", ".html")
DEPTH_MAX = 1_000


def check_office_file(file: InputFile, part: str) -> None:
    """Refuse what is encrypted, a bomb, no document that holds `part`, or declares entities."""
    with file.path.open("rb") as stream:
        head = stream.read(len(OLE_MARK))
        if head == OLE_MARK:
            raise _old_or_encrypted(stream)
    if not head.startswith(b"PK"):
        raise UnsupportedMediaType("The file is no document that the tool reads.")
    meter = Meter(file.size_bytes)
    with parsing(), zipfile.ZipFile(file.path) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES_MAX:
            raise ArchiveBomb(f"The document has {len(entries)} parts.")
        if part not in archive.namelist():
            raise UnsupportedMediaType("The file is no document that the tool reads.")
        if any(entry.flag_bits & ENCRYPTED for entry in entries):
            raise PasswordRequired
        for entry in entries:
            with archive.open(entry) as content:
                _look_over(content, meter, is_xml=entry.filename.lower().endswith(XML_SUFFIXES))


def _old_or_encrypted(stream: IO[bytes]) -> PasswordRequired | UnsupportedMediaType:
    # An encrypted document is one part in the container that the old formats were.
    if ENCRYPTED_PART in stream.read():
        return PasswordRequired()
    return UnsupportedMediaType("The file is of the old binary format; save it anew as DOCX.")


def _look_over(content: IO[bytes], meter: Meter, *, is_xml: bool) -> None:
    reader = _XmlReader() if is_xml else None
    while block := content.read(MIB):
        meter.count(len(block))
        if reader is not None:
            reader.take(block)


class _XmlReader:
    """Reads XML for what no document needs: entities of its own, and bottomless nesting."""

    def __init__(self) -> None:
        self._depth = 0
        self._parser = expat.ParserCreate()
        self._parser.EntityDeclHandler = _refuse_entity
        self._parser.StartElementHandler = self._deeper
        self._parser.EndElementHandler = self._back

    def take(self, block: bytes) -> None:
        self._parser.Parse(block, False)

    def _deeper(self, *_: object) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise CorruptFile("The document is nested too deeply.")

    def _back(self, *_: object) -> None:
        self._depth -= 1


def _refuse_entity(*_: object) -> None:
    raise CorruptFile("The document declares entities.")
