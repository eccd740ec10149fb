"""It cannot be told whether there is anything: every route answers the same, byte for byte.

One study, several times: with an analyzer that returned no, one and five findings, with objects of a foreign
AI, with results on a prior, with a committed and a signed read of a second reader. The routes are those that
the application has, so that a new one is covered by itself.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, routing
from starlette.testclient import TestClient

from coread.core import Finding, Note, Reader, Result, vocabulary
from coread.core.reading import Committed, Opened, Revealed, Signed
from coread.workflow.visibility import HiddenError, View

UNKNOWN = "1.2.3.4.5"
_ACCEPT = {
    "/dicom-web": ("*/*",),
    "/fhir": ("*/*",),
}
# requests that would end the first read of the caller are sent with a version that is long gone
_BODIES: dict[str, Any] = {
    "save_draft": {"findings": []},
    "commit": {"findings": []},
    "decide": {"finding": "ct-model-0", "choice": "accept"},
    "addendum": {"text": "words"},
    "save_report": {"sections": [], "measurements": []},
    "choose": {"reader": "nobody"},
}
_PARTS = b"--b\r\nContent-Type: application/dicom\r\n\r\nno DICOM\r\n--b--\r\n"
_STOW = {
    "content": _PARTS,
    "headers": {"Content-Type": "multipart/related; type=application/dicom; boundary=b"},
}
# asked last, since they change what the caller may see of the rest
_CALLS_THAT_CHANGE: dict[str, Any] = {
    "hand_in": {"files": {"files": ("words.txt", b"no DICOM")}},
    "store": _STOW,
    "store_study": _STOW,
    "open_reading": {},
}


def routes(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Yield (method, path, name) of every route that the application has."""
    for route in routing.iter_route_contexts(app.routes):
        for method in sorted(route.methods or {"GET"}):
            yield method, str(route.path), str(route.name)


def fills(path: str, names: dict[str, list[str]]) -> list[str]:
    """Return a route's path with what its gaps can hold: one gap at a time, and the n-th of all together."""
    gaps = re.findall(r"{(\w+)(?::\w+)?}", path)
    first = [names[gap][0] for gap in gaps]
    chosen = [first]
    for n in range(max((len(names[gap]) for gap in gaps), default=0)):
        chosen.append([names[gap][min(n, len(names[gap]) - 1)] for gap in gaps])
        for k, gap in enumerate(gaps):
            chosen.append([*first[:k], names[gap][min(n, len(names[gap]) - 1)], *first[k + 1 :]])
    filled = []
    for values in chosen:
        text = path
        for gap, value in zip(gaps, values, strict=True):
            text = re.sub(rf"{{{gap}(?::\w+)?}}", value, text)
        filled.append(text)
    return list(dict.fromkeys(filled))


def answers(app: FastAPI, client: TestClient, names: dict[str, list[str]]) -> dict[str, tuple[Any, ...]]:
    """Return what every route answers to a caller, with every filling of its path."""
    found: dict[str, tuple[Any, ...]] = {}
    listed = list(routes(app))
    changing = [route for route in listed if route[2] in _CALLS_THAT_CHANGE]
    for method, path, name in listed:
        if name in _CALLS_THAT_CHANGE:
            continue
        body = None if method in ("GET", "HEAD", "OPTIONS", "DELETE") else _BODIES.get(name, {})
        kinds = next((k for prefix, k in _ACCEPT.items() if path.startswith(prefix)), ("application/json",))
        for filled, accept in itertools.product(fills(path, names), kinds):
            headers = {"Accept": accept, "If-Match": '"999"'}
            answer = client.request(method, filled, params={"wait": "0"}, json=body, headers=headers)
            found[f"{method} {filled} {accept}"] = (
                answer.status_code,
                sorted(answer.headers.items()),
                answer.content,
            )
    for method, path, name in changing:
        for filled in fills(path, {**names, "study": names["study"][::-1]}):
            answer = client.request(method, filled, **_CALLS_THAT_CHANGE[name])
            found[f"{method} {filled}"] = (answer.status_code, sorted(answer.headers.items()), answer.content)
    return found


def second_reader(world: Any, ct: Any, *, signed: bool) -> None:
    readings, at = world.library.readings, world.clock()
    own = Finding("b", vocabulary.EMPHYSEMA, "present", Reader("ben"))
    readings.append(ct.uid(), "ben", Opened(at), expected=0)
    readings.append(ct.uid(), "ben", Committed(at, (own,)), expected=1)
    if signed:
        readings.append(ct.uid(), "ben", Revealed(at, (), "1"), expected=2)
        readings.append(ct.uid(), "ben", Signed(at), expected=3)
        from coread.core import Report, Section, Sentence, Signature

        words = (Section("findings", (Sentence("Emphysema.", Reader("ben")),)),)
        report = Report(ct.uid(), "en", words, (own,), signature=Signature(Reader("ben"), at))
        world.library.reports.save(ct.uid(), "ben", report, {"fhir.json": b'{"entry": []}', "sr.dcm": b"x"})


Change = Callable[[Any, Any, Any, Any, Any], None]
CHANGES: dict[str, Change] = {
    "one finding": lambda world, ct, prior, results, files: world.save(results(1)),
    "five findings": lambda world, ct, prior, results, files: world.save(results(5)),
    "several analyzers": lambda world, ct, prior, results, files: [
        world.save(results(2), analyzer=name) for name in ("nodules", "fast", "alarm", "derived")
    ],
    "foreign objects": lambda world, ct, prior, results, files: world.take_in(*files.foreign),
    "results on a prior": lambda world, ct, prior, results, files: world.save(results(5, prior), study=prior),
    "a committed read": lambda world, ct, prior, results, files: second_reader(world, ct, signed=False),
    "a signed read": lambda world, ct, prior, results, files: second_reader(world, ct, signed=True),
    "all of it": lambda world, ct, prior, results, files: [
        world.save(results(5)),
        world.take_in(*files.foreign),
        world.save(results(5, prior), study=prior),
        second_reader(world, ct, signed=True),
    ],
}
CALLERS = {
    "ada has opened it": tuple(CHANGES),
    "ada looks around": ("foreign objects", "all of it"),
    "nobody in particular": ("foreign objects", "all of it"),
    # people who don't read the study see signed reports
    "cleo, a clinician": ("five findings", "foreign objects", "a committed read"),
}


def prepared(make_world: Any, ct: Any, caller: str, change: Callable[[Any], object]) -> Any:
    """A world in which everything visible is the same, whatever the change was."""
    world = make_world()
    world.save(Result(notes=(Note("warning", "noise", "Noisy."),)), analyzer="quality")
    if caller in ("ada has opened it", "nobody in particular"):
        world.library.readings.append(ct.uid(), "ada", Opened(world.clock()), expected=0)
    change(world)
    world.seed(99)
    return world


@pytest.fixture
def names(make_world: Any, ct: Any, prior: Any, results: Any, files: Any) -> dict[str, list[str]]:
    """Fillings of paths: what is visible, what is hidden in some worlds, and what is unknown."""
    world = make_world()
    CHANGES["all of it"](world, ct, prior, results, files)
    index = world.library.instances
    hidden = [row.uid for row in index.series(ct.uid()) if row.uid not in _visible(index, ct)]
    series = sorted(_visible(index, ct))[0]
    instances = index.instances(series)
    shown = next(i.header.instance for i in instances if i.header.acquired)
    inside = next(i.header.instance for i in instances if not i.header.acquired)
    run = world.library.results.of(ct.uid())[0].row.id
    job = world.library.jobs.page(limit=1).items[0].id
    return {
        "study": [ct.uid(), prior.uid(), UNKNOWN],
        "series": [series, hidden[0], UNKNOWN],
        "instance": [shown, inside, ct.uid("foreign", "own"), UNKNOWN],
        "key": [series, f"{series}.1", hidden[0]],
        "identifier": [f"{run}-h0", f"{run}-s0", job, ct.uid(), UNKNOWN],
        "name": ["nodules", "sr.dcm", "fhir.json"],
        "numbers": ["1", "1,2"],
        "number": ["1"],
        "kind": ["ImagingStudy", "DiagnosticReport", "Observation", "Provenance", "Patient"],
        "path": ["index.html", "assets/x.js", "study/1"],
    }


def _visible(index: Any, ct: Any) -> set[str]:
    return {row.uid for row in index.series(ct.uid(), scope="acquired")}


@pytest.mark.slow
@pytest.mark.parametrize(("caller", "changes"), CALLERS.items())
def test_every_route_answers_the_same_before_the_first_read(
    caller: str,
    changes: tuple[str, ...],
    make_world: Any,
    ct: Any,
    prior: Any,
    results: Any,
    files: Any,
    names: dict[str, list[str]],
) -> None:
    reader = {"a": "ada", "c": "cleo", "n": None}[caller[0]]

    def asked(change: Callable[[Any], object]) -> dict[str, tuple[Any, ...]]:
        world = prepared(make_world, ct, caller, change)
        app = world.app()
        return answers(app, world.client(reader, app), names)

    expected = asked(lambda world: world.save(results(0)))
    statuses = {status for status, _, _ in expected.values()}
    assert {200, 403} <= statuses  # it is not that everything is refused
    assert len(expected) > 150
    for name in changes:
        change = CHANGES[name]
        given = asked(lambda world, change=change: change(world, ct, prior, results, files))  # type: ignore[misc]
        different = [request for request in expected if expected[request] != given[request]]
        assert not different, f"{name}: {different[:5]}"
        assert given.keys() == expected.keys()


def test_the_comparison_of_answers_would_notice_a_leak(
    make_world: Any, ct: Any, results: Any, names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(count: int) -> dict[str, tuple[Any, ...]]:
        world = prepared(make_world, ct, "ada has opened it", lambda world: world.save(results(count)))
        app = world.app()

        @app.get("/leak/{study}")
        def leak(study: str) -> int:
            return sum(len(r.load().findings) for r in world.library.results.of(study) if r.load())

        # a catch-all of the page comes first otherwise
        app.router.routes.insert(0, app.router.routes.pop())
        return answers(app, world.client("ada", app), names)

    none, five = asked(0), asked(5)
    assert [request for request in none if none[request] != five[request]] == [
        f"GET /leak/{ct.uid()} application/json"
    ]


def test_hidden_and_unknown_are_refused_alike(world: Any, ct: Any, files: Any, results: Any) -> None:
    world.save(results(3))
    world.take_in(*files.foreign)
    client = world.client("ada")
    client.post(f"/api/v1/studies/{ct.uid()}/reading")
    foreign = ct.uid("foreign", "own")
    series = ct.uid("foreign", "own", "series")
    asked = [
        f"/api/v1/studies/{ct.uid()}/comparison",
        f"/api/v1/studies/{UNKNOWN}/comparison",
        f"/api/v1/studies/{UNKNOWN}",
        f"/api/v1/studies/{ct.uid()}/exports/sr.dcm",
        f"/api/v1/studies/{ct.uid()}/maps/x/data",
        f"/dicom-web/studies/{ct.uid()}/series/{series}",
        f"/dicom-web/studies/{ct.uid()}/series/{series}/metadata",
        f"/dicom-web/studies/{ct.uid()}/series/{series}/instances/{foreign}/frames/1",
        f"/dicom-web/studies/{UNKNOWN}/series",
        f"/dicom-web/studies/{ct.uid()}/series/{UNKNOWN}/instances/{UNKNOWN}/rendered",
        "/fhir/R4/DiagnosticReport/x",
        "/api/v1/jobs/x",
    ]
    given = [client.get(address) for address in asked]
    assert {answer.status_code for answer in given} == {403}
    assert len({answer.content for answer in given}) == 1


def test_after_the_commit_foreign_objects_and_results_are_there(
    world: Any, ct: Any, files: Any, results: Any
) -> None:
    world.save(results(1))
    world.take_in(*files.foreign)
    client = world.client("ada")
    address = f"/api/v1/studies/{ct.uid()}/reading"

    def listed() -> Any:
        found = client.get("/dicom-web/studies", params={"StudyInstanceUID": ct.uid()}).json()[0]
        return (
            sorted(found["00080061"]["Value"]),
            found["00201206"]["Value"][0],
            found["00201208"]["Value"][0],
        )

    client.post(address)
    assert listed() == (["CT"], 1, 6)
    client.post(f"{address}/commit", json={"findings": []}, headers={"If-Match": '"1"'})
    assert listed() == (["CT", "DOC", "OT"], 3, 9)
    series = ct.uid("foreign", "own", "series")
    assert client.get(f"/dicom-web/studies/{ct.uid()}/series/{series}/metadata").status_code == 200
    intake = client.get("/api/v1/intake", params={"study": ct.uid()}).json()
    assert sum(entry["role"] == "object" for entry in intake["items"]) == 1


def test_a_site_can_choose_to_show_foreign_objects(make_world: Any, ct: Any, files: Any) -> None:
    from coread.workflow.visibility import SiteRules

    world = make_world(rules=SiteRules(show_foreign_objects=True))
    world.take_in(*files.foreign)
    client = world.client("ada")
    found = client.get("/dicom-web/studies", params={"StudyInstanceUID": ct.uid()}).json()[0]
    assert found["00201208"]["Value"] == [9]


def test_concurrent_and_triage_results_show_only_where_the_site_chose_so(
    make_world: Any, ct: Any, results: Any
) -> None:
    from coread.workflow.visibility import Caller, SiteRules

    def shown(rules: SiteRules) -> tuple[set[str], str, str]:
        world = make_world(rules=rules)
        for name in ("nodules", "fast", "alarm", "quality", "derived"):
            world.save(results(1), analyzer=name)
        client = world.client("ada")
        client.post(f"/api/v1/studies/{ct.uid()}/reading")
        items = client.get("/api/v1/worklist", params={"filter": "being_read"}).json()["items"]
        item = next(i for i in items if i["study"] == ct.uid())
        view = View(
            world.library,
            Caller("ada", "reader"),
            rules,
            {a.name: a.card for a in world.app().state.site.analyzers},
        )
        return {r.row.analyzer for r in view.results(ct.uid())}, item["priority"], item["reason_code"]

    assert shown(SiteRules()) == ({"quality"}, "routine", "arrival")
    chosen = SiteRules(concurrent=frozenset({"fast"}), triage=frozenset({"alarm"}))
    # what builds on a hidden result stays hidden, whatever its own card says
    assert shown(chosen) == ({"quality", "fast"}, "urgent", "raised")


def test_quality_is_told_on_the_worklist_before_the_read(world: Any, ct: Any) -> None:
    note = Note("warning", "noise", "Noisy.")
    world.save(Result(notes=(note, Note("information", "fine", "Fine."))), analyzer="quality")
    items = world.client("ada").get("/api/v1/worklist").json()["items"]
    item = next(i for i in items if i["study"] == ct.uid())
    assert item["quality"] == [{"kind": "warning", "text": "Noisy."}]


def test_no_patient_data_reaches_the_log(
    world: Any, ct: Any, results: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="coread")
    world.save(results(1))
    client = world.client("ada")
    for _, path, _ in routes(world.app()):
        client.get(path.replace("{study}", ct.uid()), params={"wait": "0"})
    assert "Ayşe" not in caplog.text
    assert "1960" not in caplog.text


def test_an_auditor_with_an_open_first_read_does_not_see_what_others_did(world: Any, ct: Any) -> None:
    lea = world.client("lea")
    assert lea.get("/api/v1/audit").status_code == 200
    lea.post(f"/api/v1/studies/{ct.uid()}/reading")
    assert lea.get("/api/v1/audit").status_code == 403
    second_reader(world, ct, signed=False)
    world.client("lea")
    assert json.loads(lea.get("/api/v1/audit").content)["came"] == HiddenError().came
