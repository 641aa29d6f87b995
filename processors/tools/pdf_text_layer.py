"""Puts text on pages of a PDF that nobody sees, but everybody can search and copy.

Importing this imports pikepdf, so tools do it when they run. The font draws nothing and is not
embedded: each code is the letter itself, and a table says so to whoever reads the text.
"""

from pikepdf import Array, Dictionary, Name, Object, Page, Pdf, String

from processors.tools.ocr_lines import Line

EM = 1_000
BASELINE = 0.2
"""Letters stand on a line that is so far above the bottom of their box."""
CODES_AT_ONCE = 100
"""Entries that one block of the table may have."""
TABLE_HEAD = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def /CMapType 2 def
1 begincodespacerange <0000> <FFFF> endcodespacerange
"""
TABLE_FOOT = "endcmap CMapName currentdict /CMap defineresource pop end end\n"
Matrix = tuple[float, float, float, float, float, float]


class TextLayer:
    """Adds text to pages of one document; all of them share one font."""

    def __init__(self, document: Pdf) -> None:
        self._document = document
        self._used: set[int] = set()
        self._table = document.make_indirect(document.make_stream(b""))
        self._font = document.make_indirect(_font(document, self._table))

    def add(self, index: int, size: tuple[int, int], lines: list[Line]) -> None:
        """Put lines on a page, whose places are those in a picture of it of some size."""
        page = self._document.pages[index]
        name = page.add_resource(self._font, Name.Font)
        wide, high, matrix = _as_seen(page)
        across, down = wide / size[0], high / size[1]
        numbers = " ".join(f"{number:.4f}" for number in matrix)
        parts = [f"\nQ q {numbers} cm BT 3 Tr"]
        for line in lines:
            codes = line.text.encode("utf-16-be", errors="ignore")
            height = max((line.bottom - line.top) * down, 1.0)
            width = (line.right - line.left) * across
            stretch = 100 * width / (height * max(1, len(codes) // 2))
            x, y = line.left * across, high - line.bottom * down + BASELINE * height
            parts.append(
                f"{name} {height:.2f} Tf {stretch:.3f} Tz 1 0 0 1 {x:.2f} {y:.2f} Tm"
                f" <{codes.hex()}> Tj"
            )
            self._used |= {
                int.from_bytes(codes[at : at + 2], "big") for at in range(0, len(codes), 2)
            }
        parts.append("ET Q")
        # Whatever the page's own content does to the state ends before the text begins.
        page.contents_add(b"q\n", prepend=True)
        page.contents_add("\n".join(parts).encode())
        self._table.write(_table(sorted(self._used)).encode())


def _as_seen(page: Page) -> tuple[float, float, Matrix]:
    """How large a page is as one sees it, and the way from there to its own coordinates."""
    left, bottom, right, top = (float(side) for side in page.cropbox)
    wide, high = right - left, top - bottom
    match int(page.get("/Rotate", 0)) % 360:
        case 90:
            return high, wide, (0, 1, -1, 0, right, bottom)
        case 180:
            return wide, high, (-1, 0, 0, -1, right, top)
        case 270:
            return high, wide, (0, -1, 1, 0, left, top)
        case _:
            return wide, high, (1, 0, 0, 1, left, bottom)


def _font(document: Pdf, table: Object) -> Dictionary:
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=Name.Unseen,
        Flags=4,
        FontBBox=Array([0, 0, EM, EM]),
        ItalicAngle=0,
        Ascent=EM,
        Descent=0,
        CapHeight=EM,
        StemV=0,
    )
    letters = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=Name.Unseen,
        CIDSystemInfo=Dictionary(
            Registry=String("Adobe"), Ordering=String("Identity"), Supplement=0
        ),
        FontDescriptor=document.make_indirect(descriptor),
        DW=EM,
        CIDToGIDMap=Name.Identity,
    )
    return Dictionary(
        Type=Name.Font,
        Subtype=Name.Type0,
        BaseFont=Name.Unseen,
        Encoding=Name("/Identity-H"),
        DescendantFonts=Array([document.make_indirect(letters)]),
        ToUnicode=table,
    )


def _table(codes: list[int]) -> str:
    blocks = []
    for start in range(0, len(codes), CODES_AT_ONCE):
        block = codes[start : start + CODES_AT_ONCE]
        entries = "\n".join(f"<{code:04X}> <{code:04X}>" for code in block)
        blocks.append(f"{len(block)} beginbfchar\n{entries}\nendbfchar\n")
    return TABLE_HEAD + "".join(blocks) + TABLE_FOOT
