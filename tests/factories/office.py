"""Office documents for tests, made part by part."""

import io
import zipfile

DOCUMENT = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Default Extension="png" ContentType="image/png"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument\
.wordprocessingml.document.main+xml"/>
</Types>"""
ROOT_RELATIONS = f"""<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" \
Target="word/document.xml"/></Relationships>"""
PICTURE = f"""<w:p><w:r><w:drawing><wp:inline xmlns:wp="{DRAWING}/wordprocessingDrawing">\
<wp:docPr id="1" name="x" descr="A picture"/><a:graphic xmlns:a="{DRAWING}/main"><a:graphicData>\
<pic:pic xmlns:pic="{DRAWING}/picture"><pic:blipFill><a:blip r:embed="i1"/>\
</pic:blipFill></pic:pic>\
</a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"""


def paragraph(text: str, style: str = "", *, bold: bool = False) -> str:
    """A paragraph as a document holds it."""
    kind = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    look = "<w:rPr><w:b/></w:rPr>" if bold else ""
    return f"<w:p>{kind}<w:r>{look}<w:t>{text}</w:t></w:r></w:p>"


def docx(
    *paragraphs: str, image: bytes | None = None, before: str = "", linked: str | None = None
) -> bytes:
    """A Word document; `before` stands before its root, `linked` is where its image is instead."""
    body = "".join(paragraphs) + (PICTURE if image or linked else "")
    if linked:
        body = body.replace("r:embed", "r:link")
    target = f'Target="{linked}" TargetMode="External"' if linked else 'Target="media/image1.png"'
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": ROOT_RELATIONS,
        "word/document.xml": f'<?xml version="1.0" encoding="UTF-8"?>{before}<w:document '
        f'xmlns:w="{DOCUMENT}" xmlns:r="{OFFICE}"><w:body>{body}</w:body></w:document>',
        "word/_rels/document.xml.rels": f'<?xml version="1.0" encoding="UTF-8"?><Relationships '
        f'xmlns="{RELATIONS}"><Relationship Id="i1" Type="{OFFICE}/image" {target}/>'
        "</Relationships>",
    }
    if image:
        parts["word/media/image1.png"] = image
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()
