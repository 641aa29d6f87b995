"""Knows every tool of this installation: the built-in ones and those that plug in.

Loading it is cheap, because tools import their libraries only when they run. A plug-in that cannot
be loaded, and a tool whose library is missing, is offered as unavailable with the reason; neither
stops the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from processors.tools.archive_creator import ArchiveCreator
from processors.tools.archive_extractor import ArchiveExtractor
from processors.tools.archive_lister import ArchiveLister
from processors.tools.audio_converter import AudioConverter
from processors.tools.barcode_maker import BarcodeMaker
from processors.tools.base import BaseTool, ToolRetries, install_command
from processors.tools.checksum import Checksum
from processors.tools.code_reader import CodeReader
from processors.tools.document_converter import DocumentConverter
from processors.tools.docx_to_markdown import DocxToMarkdown
from processors.tools.heic_converter import HeicConverter
from processors.tools.image_converter import ImageConverter
from processors.tools.image_cropper import ImageCropper
from processors.tools.image_optimizer import ImageOptimizer
from processors.tools.image_resizer import ImageResizer
from processors.tools.image_watermark import ImageWatermark
from processors.tools.images_to_pdf import ImagesToPdf
from processors.tools.markdown_to_html import MarkdownToHtml
from processors.tools.markdown_to_pdf import MarkdownToPdf
from processors.tools.media_info import MediaInfo
from processors.tools.media_trimmer import MediaTrimmer
from processors.tools.metadata_stripper import MetadataStripper
from processors.tools.no_op import NoOp
from processors.tools.ocr import Ocr
from processors.tools.pdf_compressor import PdfCompressor
from processors.tools.pdf_decrypter import PdfDecrypter
from processors.tools.pdf_encrypter import PdfEncrypter
from processors.tools.pdf_merger import PdfMerger
from processors.tools.pdf_rotator import PdfRotator
from processors.tools.pdf_splitter import PdfSplitter
from processors.tools.pdf_to_images import PdfToImages
from processors.tools.pdf_to_text import PdfToText
from processors.tools.programs import path_of
from processors.tools.qr_maker import QrMaker
from processors.tools.subtitle_converter import SubtitleConverter
from processors.tools.svg_to_image import SvgToImage
from processors.tools.table_converter import TableConverter
from processors.tools.video_converter import VideoConverter
from processors.tools.video_thumbnailer import VideoThumbnailer

ENTRY_POINT_GROUP = "magictoolbox.tools"
REASON_LENGTH_MAX = 300

AnyTool = BaseTool[Any]
BUILT_INS: tuple[type[AnyTool], ...] = (
    ArchiveCreator,
    ArchiveExtractor,
    ArchiveLister,
    AudioConverter,
    BarcodeMaker,
    Checksum,
    CodeReader,
    HeicConverter,
    DocumentConverter,
    DocxToMarkdown,
    ImageConverter,
    ImageCropper,
    ImageOptimizer,
    ImageResizer,
    ImageWatermark,
    MarkdownToHtml,
    MarkdownToPdf,
    MediaInfo,
    MediaTrimmer,
    ImagesToPdf,
    MetadataStripper,
    NoOp,
    Ocr,
    PdfCompressor,
    PdfDecrypter,
    PdfEncrypter,
    PdfMerger,
    PdfRotator,
    PdfSplitter,
    PdfToImages,
    PdfToText,
    QrMaker,
    SubtitleConverter,
    SvgToImage,
    TableConverter,
    VideoConverter,
    VideoThumbnailer,
)


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """What others may know of a tool without importing it; every value can be written as JSON."""

    name: str
    version: str
    description: str
    input_formats: list[str]
    output_formats: list[str]
    options_schema: dict[str, Any]
    inputs_min: int
    inputs_max: int
    attempts_max: int
    timeout_seconds: float
    trusted: bool
    available: bool
    unavailable_reason: str | None
    cacheable: bool = False
    names_matter: bool = True
    retry: dict[str, Any] | None = None
    """How its patience differs from the default one; None: it does not."""


class ToolNotFound(LookupError):
    """No tool of this name is installed."""


class ToolUnavailable(LookupError):
    """The tool is installed, but it cannot run here."""


class Registry:
    """The tools of this installation by name."""

    def __init__(self, tools: Iterable[type[AnyTool]], plug_ins: Iterable[EntryPoint] = ()) -> None:
        self._tools: dict[str, AnyTool] = {}
        self._offers: dict[str, ToolOffer] = {}
        for tool_class in tools:
            self._add(tool_class())
        for plug_in in sorted(plug_ins, key=lambda point: (point.name, point.value)):
            self._plug_in(plug_in)

    def get(self, name: str) -> AnyTool:
        """The tool of that name, ready to run."""
        if name not in self._offers:
            raise ToolNotFound(name)
        if name not in self._tools:
            raise ToolUnavailable(f"{name}: {self._offers[name].unavailable_reason}")
        return self._tools[name]

    def available(self) -> list[AnyTool]:
        """Every tool that can run here, by name."""
        return [tool for _, tool in sorted(self._tools.items())]

    def offers(self) -> list[ToolOffer]:
        """What every tool offers, by name; the same installation always gives the same."""
        return [offer for _, offer in sorted(self._offers.items())]

    def without(self, reasons: Mapping[str, str]) -> "Registry":
        """The same tools, of which those named are unavailable for the reason given."""
        registry = Registry(())
        registry._tools = {n: tool for n, tool in self._tools.items() if n not in reasons}
        registry._offers = {n: _barred(o, reasons.get(n)) for n, o in self._offers.items()}
        return registry

    def _add(self, tool: AnyTool) -> None:
        if tool.name in self._offers:
            raise ValueError(f"a tool named {tool.name} is already there")
        reason = reason_of(missing_parts(tool), tool.extra)
        self._offers[tool.name] = offer_of(tool, reason)
        if reason is None:
            self._tools[tool.name] = tool

    def _plug_in(self, plug_in: EntryPoint) -> None:
        # Code of others may raise anything while it is imported or asked what it offers.
        try:
            self._add(plug_in.load()())
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:REASON_LENGTH_MAX]
            self._offers.setdefault(plug_in.name, offer_of_broken(plug_in.name, reason))


def installed() -> Registry:
    """The built-in tools and the plug-ins that are installed."""
    return Registry(BUILT_INS, entry_points(group=ENTRY_POINT_GROUP))


def missing_parts(tool: AnyTool) -> list[str]:
    """What a tool needs and this installation lacks: modules and programs."""
    modules = missing_modules((*tool.modules, *tool.late_modules))
    return modules + [program.name for program in tool.programs if path_of(program) is None]


def missing_modules(modules: Sequence[str]) -> list[str]:
    """Those of the modules that cannot be found, without importing them."""
    return [name for name in modules if not _is_found(name)]


def reason_of(missing: Sequence[str], extra: str | None) -> str | None:
    """Why a tool that lacks these modules is unavailable, and what would mend it."""
    if not missing:
        return None
    mend = f"; {install_command(extra)}" if extra else ""
    return f"not installed: {', '.join(missing)}{mend}"


def _is_found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def offer_of(tool: AnyTool, unavailable_reason: str | None = None) -> ToolOffer:
    """Describe a tool."""
    return ToolOffer(
        name=tool.name,
        version=tool.version,
        description=tool.description,
        input_formats=list(tool.input_formats),
        output_formats=list(tool.output_formats),
        options_schema=tool.Options.model_json_schema(),
        inputs_min=tool.limits.inputs_min,
        inputs_max=tool.limits.inputs_max,
        attempts_max=tool.limits.attempts_max,
        timeout_seconds=tool.limits.wall_seconds,
        trusted=tool.trusted,
        available=unavailable_reason is None,
        unavailable_reason=unavailable_reason,
        cacheable=tool.cacheable,
        names_matter=tool.names_matter,
        retry=_differing(tool.retries),
    )


def _differing(retries: ToolRetries) -> dict[str, Any] | None:
    default, own = asdict(ToolRetries()), asdict(retries)
    return {name: value for name, value in own.items() if value != default[name]} or None


def _barred(offer: ToolOffer, reason: str | None) -> ToolOffer:
    if reason is None or not offer.available:
        return offer
    return replace(offer, available=False, unavailable_reason=reason[:REASON_LENGTH_MAX])


def offer_of_broken(name: str, reason: str) -> ToolOffer:
    """Describe a plug-in that told nothing but its name."""
    return ToolOffer(
        name=name,
        version="0",
        description="",
        input_formats=[],
        output_formats=[],
        options_schema={},
        inputs_min=0,
        inputs_max=0,
        attempts_max=0,
        timeout_seconds=0.0,
        trusted=False,
        available=False,
        unavailable_reason=reason,
    )
