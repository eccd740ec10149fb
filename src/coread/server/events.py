"""What a caller may know of studies and jobs, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from coread.server import translate
from coread.workflow.visibility import HiddenError, View

_MOST = 50


@dataclass(frozen=True, slots=True)
class News:
    """Encoded events by what they are about, and the time up to which jobs were looked at."""

    events: Mapping[str, bytes]
    until: datetime | None


def news(view: View, since: datetime | None = None) -> News:
    """Return news of jobs that changed at or after a moment, or of the latest ones, with their studies."""
    fresh = view.renewed()
    queue = view.library.jobs
    jobs = tuple(reversed(queue.page(limit=_MOST).items)) if since is None else queue.changed_since(since)
    found: dict[str, bytes] = {}
    for job in jobs:
        try:
            visible = fresh.job(job.id)
        except HiddenError:
            continue
        found[f"job {job.id}"] = _event("job", translate.job(visible).model_dump(mode="json"))
        if job.kind == "process" and job.subject is not None:
            processing, progress = fresh.processing(job.subject)
            own = fresh.own_head(job.subject)
            body = {
                "study": job.subject,
                "processing": processing,
                "progress": progress,
                "state": "unread" if own is None else own.state.value,
                "more_images": own is not None and own.more_images,
            }
            found[f"study {job.subject}"] = _event("study", body)
    return News(found, max((job.updated_at for job in jobs), default=since))


async def pause(seconds: float) -> None:
    """Wait until it is time to look again."""
    await asyncio.sleep(seconds)


def _event(name: str, body: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
