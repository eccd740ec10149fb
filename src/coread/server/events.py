"""What a caller may know of studies and jobs, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping

from coread.server import translate
from coread.workflow.visibility import HiddenError, View

_MOST = 200


def snapshot(view: View) -> dict[str, bytes]:
    """Return the news by subject as encoded events: the latest jobs and the studies they are about."""
    fresh = view.renewed()
    found: dict[str, bytes] = {}
    for job in reversed(view.library.jobs.page(limit=_MOST).items):
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
    return found


def changes(known: Mapping[str, bytes], current: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield the events that are new or different."""
    for subject, event in current.items():
        if known.get(subject) != event:
            yield event


async def pause(seconds: float) -> None:
    """Wait until it is time to look again."""
    await asyncio.sleep(seconds)


def _event(name: str, body: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
