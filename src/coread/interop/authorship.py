"""Who makes a document, when, with what; and the identifiers it gets."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from coread.core import Origin

NewUid = Callable[[], str]
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "coread")


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What writes an object.

    Attributes:
        model: Name of the software.
        version: Its version.
        serial: Number of the installation.
    """

    model: str = "CoRead"
    version: str
    serial: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Author:
    """Who makes an object, when, with what.

    Attributes:
        origin: The model or the reader whose content it is.
        at: When, with offset.
        equipment: What writes.
        new_uid: Gives series and instance their UIDs.
    """

    origin: Origin
    at: datetime
    equipment: Equipment
    new_uid: NewUid


def uid_generator(random: np.random.Generator) -> NewUid:
    """Return a function that gives a new UID (``2.25.`` and a random UUID) at each call.

    Examples:
        >>> new_uid = uid_generator(np.random.default_rng(7))
        >>> new_uid() == new_uid(), new_uid()[:5]
        (False, '2.25.')

    References:
        DICOM PS3.5, B.2 UUID derived UID.
    """

    def new_uid() -> str:
        return f"2.25.{uuid.UUID(bytes=random.bytes(16), version=4).int}"

    return new_uid


def stable_uuid(*words: str) -> uuid.UUID:
    """Return the UUID that belongs to some words: the same words, the same UUID.

    Device and tracking identifiers are made so, because they must not change when a study is exported
    again.
    """
    return uuid.uuid5(_SPACE, chr(0).join(words))


def stable_uid(*words: str) -> str:
    """Return `stable_uuid` as a DICOM UID."""
    return f"2.25.{stable_uuid(*words).int}"
