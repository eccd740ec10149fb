"""What a site decides for its server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal

from coread.errors import InputError
from coread.workflow.visibility import Role, SiteRules


@dataclass(frozen=True, slots=True)
class ConfiguredReader:
    """A person who may use this server.

    Attributes:
        id: Stable identifier; readings carry it.
        name: Shown on the page.
        role: What they may see, see `coread.workflow.visibility`.
        language: Of the page.
    """

    id: str
    name: str
    role: Role = "reader"
    language: Literal["en", "tr"] = "en"

    def __post_init__(self) -> None:
        if not self.id or self.role == "client":
            raise InputError(
                f"a reader with id {self.id!r} and role {self.role!r}", "a person with an identifier"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of the server.

    Attributes:
        host: Address it listens on; loopback only, since there are no accounts yet.
        readers: People who may use it; the first one is the local user, who needs no choice when alone.
        rules: What the site shows before the first read, and the distances of the matching rule.
        upload_limit: Largest upload in bytes.
        cache_bytes: Memory for decoded frames.
        events_interval_s: How often the event stream looks for news.

    Raises:
        InputError: An address that others can reach, no reader, or two with one identifier.
    """

    host: str = "127.0.0.1"
    readers: tuple[ConfiguredReader, ...] = (ConfiguredReader("local", "Local reader"),)
    rules: SiteRules = field(default_factory=SiteRules)
    upload_limit: int = 8 << 30
    cache_bytes: int = 512 << 20
    events_interval_s: float = 1.0

    def __post_init__(self) -> None:
        if not is_loopback(self.host):
            raise InputError(
                f"the server should listen on {self.host}, which others can reach, and has no accounts",
                "a loopback address such as 127.0.0.1",
                "leave `host` as it is and reach it through a tunnel or a proxy that asks who is there",
            )
        identifiers = [reader.id for reader in self.readers]
        if not identifiers or len(set(identifiers)) != len(identifiers):
            raise InputError(
                f"readers {identifiers}", "one reader or more, each with an identifier of its own"
            )

    def reader(self, identifier: str) -> ConfiguredReader | None:
        """Return a configured reader, or None."""
        return next((reader for reader in self.readers if reader.id == identifier), None)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
