"""[extract]: limits against hostile pages, and which encodings to expect.

Apart from the code that obeys them, so that reading a config.toml does not load any parser.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.model import canonical
from pipeline.model.digest import sha256
from pipeline.model.policy import Workers

# What is read may become several times its size as JSON; `model.document.MAX_LINE` bounds that.
Bytes = Annotated[
    int, Meta(ge=1_000, le=10_000_000, description="a whole number from 1000 to 10000000")
]
Count = Annotated[int, Meta(ge=0, le=1_000_000, description="a whole number from 0 to 1000000")]
Seconds = Annotated[int, Meta(ge=1, le=3_600, description="a whole number from 1 to 3600")]
Encoding = Literal[
    "iso-8859-2",
    "iso-8859-15",
    "koi8-r",
    "macintosh",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1257",
    "x-mac-cyrillic",
]


class ExtractPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[extract]: how documents are made. Every field but `workers` can change documents.

    Attributes:
        max_document_bytes: bytes of a decoded payload that are read; what follows is left out and
            the document says so.
        max_main_text_chars: characters of markup above which the main text is not looked for and
            `text` is the whole visible text.
        max_links: links kept per document.
        max_cpu_s: CPU seconds one document may cost before its worker process is ended.
        undeclared_encodings: what is considered for a page that declares no encoding and has few
            bytes above 7F. A site in Czech or Polish adds `windows-1250`.
        workers: processes; 0 is one for each core.

    """

    max_document_bytes: Bytes = 8_000_000
    max_main_text_chars: Bytes = 2_000_000
    max_links: Count = 10_000
    max_cpu_s: Seconds = 120
    undeclared_encodings: tuple[Encoding, ...] = ("windows-1252", "macintosh")
    workers: Workers = 0

    def digest(self) -> str:
        """Give the labelled SHA-256 of the settings that can change documents."""
        settings = msgspec.structs.asdict(self)
        del settings["workers"]
        return sha256(canonical.line(settings))
