"""Puts a password on PDF documents."""

from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from processors.tools.base import (
    BaseTool,
    Comparison,
    InvalidOptions,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF
from processors.tools.pdf_decrypter import PASSWORD_BYTES_MAX

Printing = Literal["full", "low", "none"]
Password = SecretStr | None


class PdfEncrypterOptions(ToolOptions):
    """Who may do what."""

    user_password: Password = Field(
        default=None,
        min_length=1,
        max_length=PASSWORD_BYTES_MAX,
        title="Password",
        description="Opens the document; one of the two passwords is needed.",
        examples=["correct horse"],
    )
    owner_password: Password = Field(
        default=None,
        min_length=1,
        max_length=PASSWORD_BYTES_MAX,
        title="Owner's password",
        description="Lifts the restrictions below. If unset, nobody knows it. If it is the only"
        " one, everybody can open the document, and only the restrictions hold.",
        examples=["battery staple"],
    )
    printing: Printing = Field(
        default="full",
        title="Printing",
        description="Allowed, only at a low resolution, or not.",
        examples=["none"],
    )
    copying: bool = Field(
        default=True, title="Copying", description="Text may be copied.", examples=[False]
    )
    changing: bool = Field(
        default=True,
        title="Changing",
        description="Pages may be changed, put in and taken out.",
        examples=[False],
    )
    annotating: bool = Field(
        default=True,
        title="Annotating",
        description="Notes may be added and forms filled in.",
        examples=[False],
    )


class PdfEncrypter(BaseTool[PdfEncrypterOptions]):
    """AES-256 and nothing weaker."""

    name = "pdf-encrypter"
    description = "Encrypts a PDF with AES-256, with passwords and permissions."
    version = "1.1.0"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [PDF]
    limits = ToolLimits()
    # The keys are drawn by lot.
    cacheable = False
    group = "pdf"
    modules = ("pikepdf", "processors.tools.pdf_encrypting")
    compares_with = (
        Comparison(
            "qpdf",
            "qpdf --encrypt user owner 256 -- in.pdf out.pdf",
            (
                "Only AES-256 is written; qpdf also writes what can be broken, if it is told to.",
                "Passwords are sealed and never shown again; on qpdf's command line others may"
                " see them.",
                "Without an owner's password a random one is set; qpdf may leave it empty.",
                "As with qpdf, readers keep to the permissions because they want to.",
            ),
        ),
    )
    Options = PdfEncrypterOptions

    async def process(self, input_data: ToolInput, options: PdfEncrypterOptions) -> ToolResult:
        """Encrypt the one document."""
        from processors.tools.pdf_encrypting import encrypted

        return encrypted(input_data, options)

    async def validate(self, input_data: ToolInput, options: PdfEncrypterOptions) -> bool:
        """Refuse to feign a protection: there has to be a password."""
        if options.user_password is None and options.owner_password is None:
            raise InvalidOptions("user_password: a password is needed.", field="user_password")
        for name in ("user_password", "owner_password"):
            password: Password = getattr(options, name)
            if password and len(password.get_secret_value().encode()) > PASSWORD_BYTES_MAX:
                raise InvalidOptions(
                    f"{name}: in UTF-8 it is longer than {PASSWORD_BYTES_MAX} bytes.", field=name
                )
        return await super().validate(input_data, options)
