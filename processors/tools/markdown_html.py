"""Makes HTML of Markdown and cleans it. Importing this imports markdown-it and nh3."""

import html

import nh3

from processors.tools.base import MIB, CorruptFile, OutputFile, ToolInput, ToolResult
from processors.tools.filenames import clean_stem, output_name
from processors.tools.markdown import markdown_of
from processors.tools.markdown_reading import first_heading, parser
from processors.tools.markdown_to_html import HTML, MarkdownToHtmlOptions

TEXT_BYTES_MAX = 10 * MIB
SCHEMES = {"http", "https", "mailto"}
TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd"),
    *("del", "details", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2"),
    *("h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li"),
    *("mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong"),
    *("sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr"),
    *("u", "ul", "var"),
}
ATTRIBUTES = {
    "*": {"title", "lang", "dir"},
    "a": {"href"},
    "code": {"class"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
}
WITH_THEIR_CONTENT = {"script", "style", "iframe", "object", "noscript", "template"}
ALIGNMENTS = {
    f'style="text-align:{side}"': f'align="{side}"' for side in ("left", "center", "right")
}
PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
img-src http: https:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem }}
body {{ margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow-x: auto; padding: 1rem; background: #f4f4f4 }}
table {{ border-collapse: collapse }}
th, td {{ border: 1px solid #ccc; padding: .3rem .6rem }}
img {{ max-width: 100% }}
blockquote {{ border-left: 4px solid #ccc; margin-left: 0; padding-left: 1rem }}
</style>
</head>
<body>
{body}</body>
</html>
"""


def converted(input_data: ToolInput, options: MarkdownToHtmlOptions) -> ToolResult:
    """The HTML of the one Markdown."""
    notes: list[str] = []
    file = input_data.files[0]
    text = markdown_of(file, options.encoding, TEXT_BYTES_MAX, notes)
    reader = parser()
    tokens = reader.parse(text)
    input_data.progress(0.5, "read")
    raw = reader.renderer.render(tokens, reader.options, {})
    body = cleaned(raw, images=options.images)
    if not body.strip():
        raise CorruptFile("Nothing is left to be shown.")
    if options.standalone:
        title = options.title or first_heading(tokens) or clean_stem(file.filename)
        body = PAGE.format(title=html.escape(title), body=body)
    path = input_data.folder / "page.html"
    path.write_text(body, "utf-8", errors="replace")
    output = OutputFile(output_name(input_data.files, ".html"), path, HTML)
    return ToolResult((output,), tuple(notes))


def cleaned(raw: str, *, images: bool) -> str:
    """HTML of which nothing runs, nothing is fetched from this machine, and nothing hides."""
    for style, attribute in ALIGNMENTS.items():
        raw = raw.replace(style, attribute)
    return nh3.clean(
        raw,
        tags=TAGS if images else TAGS - {"img"},
        clean_content_tags=WITH_THEIR_CONTENT,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
    )
