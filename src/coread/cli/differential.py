"""`coread differential`: ranked diagnoses from findings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import typer

from coread.cli.common import Json, print_json
from coread.cli.guideline import values

app = typer.Typer(add_completion=False)


@app.command()
def differential(
    area: Annotated[str, typer.Argument(help="Such as lung_nodule; `list` shows all areas and findings.")],
    findings: Annotated[list[str] | None, typer.Argument(help="finding=true or finding=false.")] = None,
    age: Annotated[float | None, typer.Option("--age", help="Years.")] = None,
    sex: Annotated[str | None, typer.Option("--sex", help="F or M.")] = None,
    setting: Annotated[str, typer.Option("--setting", help="Where the patient comes from.")] = "general",
    prior: Annotated[list[str] | None, typer.Option("--prior", help="diagnosis=probability.")] = None,
    json: Json = False,
) -> None:
    """Rank diagnoses by findings, with what raised and lowered them and what to look for next.

    Example: coread differential lung_nodule spiculated=true upper_lobe=true --age 68 --json
    """
    from coread.decision import differential as ranking
    from coread.errors import InputError

    if area == "list":
        _list(ranking, json=json)
        return
    if sex not in (None, "F", "M"):
        raise InputError(f"sex {sex!r}", "expected F or M", "leave it out where it is not known")
    answer = ranking.rank(
        area,
        values(findings or []),
        age=age,
        sex=cast(Literal["F", "M"] | None, sex),
        setting=setting,
        priors=values(prior) if prior else None,
    )
    if json:
        print_json({"schema": "coread-differential", "version": 1, **answer.document()})
        return
    for row in answer.rows:
        mark = " !" if row.cannot_miss else ""
        typer.echo(f"{row.posterior:6.1%}  {row.low:6.1%} to {row.high:6.1%}  {row.says}{mark}")
        for influence in row.influences:
            verb = "raised" if influence.ratio >= 1 else "lowered"
            said = influence.says if influence.present else f"no {influence.says}"
            typer.echo(
                f"{'':26}{verb} x {influence.ratio:.2f} by {said} ({influence.grade}: {influence.source})"
            )
    typer.echo("! must not be missed, whatever its rank")
    for following in answer.next_findings[:3]:
        typer.echo(f"next: {following.says} ({following.expected_bits:.2f} bits)")
    for note in answer.notes:
        typer.echo(f"note: {note}")


def _list(ranking: Any, *, json: bool) -> None:
    known = [ranking.knowledge(name) for name in ranking.areas()]
    if json:
        rows = [
            {
                "area": k.area,
                "title": k.title,
                "model": k.model,
                "settings": k.settings,
                "findings": {name: finding["says"] for name, finding in k.findings.items()},
                "diagnoses": {name: entry["says"] for name, entry in k.diagnoses.items()},
            }
            for k in known
        ]
        print_json({"schema": "coread-differential-areas", "version": 1, "areas": rows})
        return
    for k in known:
        typer.echo(f"{k.area}: {k.title}; settings {', '.join(k.settings)}")
        for name, finding in k.findings.items():
            typer.echo(f"    {name:28} {finding['says']}")
