"""Whether a tool takes these options and these files, by what it published."""

from collections.abc import Mapping, Sequence
from typing import Any

from command_api.errors import (
    InputsTooLarge,
    InvalidInputs,
    UnsupportedMediaType,
)
from command_api.input_files import InputFile
from command_api.options import OptionsValidators
from command_api.secret_options import secret_names
from command_api.tool_cache import CachedOffer
from command_api.tool_catalogue import ToolCatalogue
from events.contracts.values import FileRef
from events.domain.errors import ToolUnavailable
from events.domain.tool import INPUT_BYTES_MAX, Offer


class ToolCheck:
    """Asks the catalogue and decides."""

    def __init__(self, catalogue: ToolCatalogue, validators: OptionsValidators) -> None:
        self._catalogue = catalogue
        self._validators = validators

    async def check(
        self, tool: str, options: Mapping[str, Any], files: Sequence[InputFile | FileRef]
    ) -> CachedOffer:
        """The tool as it will run; raises DomainError for what it will not take."""
        known = await self.offered(tool, options)
        check_number(known.offer, len(files))
        check_files(known, files)
        return known

    async def offered(self, tool: str, options: Mapping[str, Any]) -> CachedOffer:
        """The same for files that are not known yet."""
        known = await self._catalogue.offer(tool)
        offer = known.offer
        if not offer.available:
            raise ToolUnavailable(offer.unavailable_reason, tool=tool)
        self._validators.check(tool, offer.version, offer.options_schema, options)
        return known

    async def secret_names(self, tool: str) -> frozenset[str]:
        """Its options that hold a secret; raises ToolNotFound."""
        return secret_names((await self._catalogue.offer(tool)).offer.options_schema)


def check_files(tool: CachedOffer, files: Sequence[InputFile | FileRef]) -> None:
    """Raise DomainError unless the tool takes these files, however many more there will be."""
    offer = tool.offer
    for file in files:
        if not offer.takes(file.media_type):
            raise UnsupportedMediaType(
                f"{tool.name} does not take {file.media_type} files.",
                media_type=file.media_type,
                accepted=list(offer.input_formats),
            )
    if sum(file.size_bytes for file in files) > INPUT_BYTES_MAX:
        raise InputsTooLarge(bytes_max=INPUT_BYTES_MAX)


def check_number(offer: Offer, number: int) -> None:
    """Raise InvalidInputs unless the tool takes so many files."""
    if not offer.takes_number(number):
        raise InvalidInputs(inputs=number, inputs_min=offer.inputs_min, inputs_max=offer.inputs_max)
