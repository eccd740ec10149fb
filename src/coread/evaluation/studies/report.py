"""What every study reports: one self-contained HTML page, JSON in full precision, the block for a card."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import numpy as np
from jinja2 import Environment

from coread.errors import InputError

# By subject: the numbers of items differ between versions of each guideline (STARD 2015 and STARD-AI, CLAIM
# 2020 and 2024, TRIPOD 2015 and TRIPOD+AI), so the report names what is filled and leaves the number to the
# author.
_ACCURACY = (
    "STARD and STARD-AI: how accuracy is estimated and compared; estimates with their precision",
    "CLAIM: measures of performance and their uncertainty; performance with intervals",
)
_PREDICTION = (
    "TRIPOD+AI: measures of performance in the methods, and performance with intervals in the results"
)
ITEMS = {
    "roc": (*_ACCURACY, f"{_PREDICTION}: discrimination"),
    "mrmc": (*_ACCURACY, "STARD and STARD-AI: analysis of variability between readers"),
    "froc": (*_ACCURACY, "STARD and STARD-AI: analysis of variability between readers"),
    "calibration": (f"{_PREDICTION}: calibration", "CLAIM: measures of performance"),
    "utility": (f"{_PREDICTION}: clinical utility",),
    "survival": (f"{_PREDICTION}: discrimination, calibration and overall error under censoring",),
    "agreement": (
        "STARD and STARD-AI: analysis of variability",
        "CLAIM: how the reference standard was made, variability between annotators",
    ),
    "segmentation": ("CLAIM: measures of performance of a segmentation",),
    "subgroup": (
        "TRIPOD+AI: fairness, performance in subgroups, heterogeneity",
        "STARD-AI: performance in subgroups, bias",
        "CLAIM: robustness, analysis by subgroup",
    ),
    "drift": ("CLAIM: robustness", "TRIPOD+AI: differences between development and evaluation data"),
    "double-reading": (
        *_ACCURACY,
        "STARD-AI: the place of the AI in the clinical pathway and how people use its output",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a study may be told.

    Attributes:
        level: Of the intervals.
        positive: Word of the truth that counts as diseased, or None for the usual words.
        scores: Columns that predict, or none for the known ones.
        lower: Scores where a lower value speaks for disease.
        threshold: Of scores, at or above which a case is called.
        prevalence: At which predictive values are stated, or None for the table's.
        horizon: Times of a survival study, or none for those of the columns.
        group: Column of subgroups or windows.
        reference: Value of `group` that is the reference window.
        method: Covariance of a reader study.
        fixed: What the conclusion of a reader study is limited to.
        margin: Of non-inferiority.
        tolerance_mm: Of the surface Dice.
    """

    level: float = 0.95
    positive: str | None = None
    scores: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    threshold: float | None = None
    prevalence: float | None = None
    horizon: tuple[float, ...] = ()
    group: str | None = None
    reference: str | None = None
    method: str = "delong"
    fixed: str = "none"
    margin: float = 0.05
    tolerance_mm: float = 2.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1:
            raise InputError(f"level {self.level:g}", "expected from 0.5 to below 1, such as 0.95")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report; numbers are shown with four digits and kept in full in the JSON."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(slots=True)
class StudyReport:
    """A study as it is reported.

    Attributes:
        kind: Such as ``roc``.
        title: For people.
        results: Every figure, in full.
        tables: For the page.
        plots: Title and SVG.
        checks: What was found in the table.
        methods: One sentence a method.
        metrics: For the card: name to value, lower and upper limit (or None).
    """

    kind: str
    title: str
    results: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    plots: list[tuple[str, str]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    metrics: dict[str, tuple[float, float | None, float | None]] = field(default_factory=dict)

    @property
    def items(self) -> tuple[str, ...]:
        """Items of reporting guidelines that the analysis fills."""
        return ITEMS[self.kind]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: plain values, full precision; what is not finite becomes None."""
        return {
            "kind": self.kind,
            "title": self.title,
            "results": plain(self.results),
            "checks": self.checks,
            "methods": self.methods,
            "guideline_items": list(self.items),
        }


def plain(value: Any) -> Any:
    """Return a value as JSON knows it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value


def plot(draw: Callable[[Any], None], *, width: float = 5.0, height: float = 4.2) -> str:
    """Return an SVG drawn by a callback that gets the axes; the same input gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "coread", "font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines["right"].set_visible(False)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


@dataclass(frozen=True, slots=True, eq=False, kw_only=False)
class Line:
    """A named line of a plot.

    Attributes:
        name: For the legend.
        x: (points,).
        y: (points,).
        band: Lower and upper limit (points,) each, or None.
        colour: Number of the colour; its own unless given.
        style: Number of the dashes; drawn through unless given.
        markers: Points instead of a line; with a band they get error bars.
    """

    name: str
    x: Any
    y: Any
    band: tuple[Any, Any] | None = None
    colour: int | None = None
    style: int = 0
    markers: bool = False


# Okabe and Ito's colours, told apart by colour-blind readers
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MOST_POINTS = 1500
MOST_NAMES = 14


def curves(
    lines: Sequence[Line],
    x: str,
    y: str,
    *,
    diagonal: bool = False,
    level_line: float | None = None,
    from_zero: bool = False,
) -> str:
    """Return a plot of named lines, long ones thinned; `diagonal` fixes both axes to 0 to 1."""

    def draw(axes: Any) -> None:
        for k, line in enumerate(lines):
            colour = COLOURS[(k if line.colour is None else line.colour) % len(COLOURS)]
            xs, ys = np.asarray(line.x), np.asarray(line.y)
            kept = np.unique(np.linspace(0, xs.size - 1, min(xs.size, MOST_POINTS)).astype(int))
            if line.markers:
                bars = None
                if line.band is not None:
                    low, high = (np.asarray(b) for b in line.band)
                    bars = np.clip(np.array([ys - low, high - ys]), 0, None)
                axes.errorbar(
                    xs,
                    ys,
                    yerr=bars,
                    fmt="o",
                    ms=3.5,
                    lw=0.9,
                    capsize=2,
                    color=colour,
                    label=line.name,
                    zorder=1.5,
                )
                continue
            if line.band is not None:
                low, high = (np.asarray(b)[kept] for b in line.band)
                axes.fill_between(xs[kept], low, high, color=colour, alpha=0.13, lw=0)
            dashes = DASHES[line.style % len(DASHES)]
            axes.plot(
                xs[kept], ys[kept], zorder=2.5, label=line.name or None, lw=1.3, color=colour, ls=dashes
            )
        if diagonal:
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
            axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        if level_line is not None:
            axes.axhline(level_line, color="0.6", lw=0.8, ls="--")
        if from_zero:
            axes.set_ylim(bottom=0)
        axes.set(xlabel=x, ylabel=y)
        axes.grid(color="0.92", lw=0.6)
        axes.set_axisbelow(True)
        if len(lines) <= 6:
            axes.legend(frameon=False, fontsize=8)
        else:
            columns = 1 if len(lines) <= MOST_NAMES else 2
            axes.legend(frameon=False, fontsize=7, ncols=columns, loc="center left", bbox_to_anchor=(1, 0.5))

    many = len(lines) > 6
    return plot(draw, width=5.0 + (1.7 if many else 0.0) + (1.5 if len(lines) > MOST_NAMES else 0.0))


def show(value: Any) -> str:
    """Return a value for people."""
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        if not np.isfinite(number):
            return "–" if np.isnan(number) else ("∞" if number > 0 else "−∞")
        return f"{number:.3g}" if 0 < abs(number) < 0.01 or abs(number) >= 1e4 else f"{number:.4f}"
    return str(value)


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ r.title }}</title><style>
:root{--ink:#1b1f24;--soft:#57606a;--line:#d5d9de;--page:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#a5adb6;--line:#3a4149;--page:#15181c}}
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--page);overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:.5rem 0 1.5rem}table{border-collapse:collapse;overflow-wrap:normal}
th,td{border-bottom:1px solid var(--line);padding:.25rem .7rem;text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left}th{font-weight:600}
td{font-variant-numeric:tabular-nums}.from td{text-align:left;overflow-wrap:anywhere;font-size:.85rem}
h2{font-size:1.1rem;margin-top:1.6rem}
figure{display:inline-block;margin:.5rem;vertical-align:top;max-width:100%}
figure div{background:#fff;border-radius:4px;padding:.4rem}
figcaption{color:var(--soft);max-width:32rem;font-size:.9rem}svg{max-width:100%;height:auto;display:block}
@media print{:root{--ink:#000;--soft:#333;--line:#bbb;--page:#fff}}
</style></head><body><h1>{{ r.title }}</h1><p>Research use, not for diagnosis. Intervals: {{ level }}.</p>
<h2>The table</h2><ul>{% for c in r.checks %}<li>{{ c }}</li>{% endfor %}</ul>
{% for t in r.tables %}<h2>{{ t.title }}</h2>
<div class="wide"><table>
<thead><tr>{% for c in t.columns %}<th scope="col">{{ c }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in t.rows %}<tr>{% for v in row %}<td>{{ show(v) }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}
{% if r.plots %}<h2>Figures</h2>{% endif %}
{% for title, svg in r.plots %}<figure role="img" aria-label="{{ title }}"><div>{{ svg | safe }}</div>
<figcaption>{{ title }}</figcaption></figure>{% endfor %}
<h2>Methods</h2><ul>{% for m in r.methods %}<li>{{ m }}</li>{% endfor %}</ul>
<h2>Items of reporting guidelines that this analysis fills</h2>
<p>By subject; the numbers of items depend on the version of the guideline.</p>
<ul>{% for i in r.items %}<li>{{ i }}</li>{% endfor %}</ul>
<h2>Where it comes from</h2>
<div class="wide"><table class="from">
{% for k, v in provenance.items() if v not in ("None", "()") %}<tr><td>{{ k }}</td><td>{{ v }}</td></tr>
{% endfor %}</table></div></body></html>
"""


def html(report: StudyReport, provenance: dict[str, str], *, level: float = 0.95) -> str:
    """Return the page; it needs nothing from outside."""
    page = Environment(autoescape=True).from_string(_PAGE)
    return page.render(r=report, provenance=provenance, show=show, level=f"{100 * level:g} %")


def metrics_block(report: StudyReport, data: str, date: str) -> str:
    """Return the metrics as TOML for a model card."""
    lines = []
    for name, (value, low, high) in report.metrics.items():
        key = "".join(c if c.isalnum() else "_" for c in name.lower())
        lines += [f"[metrics.{key}]", f"value = {float(value)!r}"]
        lines += [
            f"{end} = {float(limit)!r}" for end, limit in (("low", low), ("high", high)) if limit is not None
        ]
        escaped = data.replace("\\", "\\\\").replace('"', '\\"')
        lines += [f'data = "{escaped}"', f'date = "{date}"', ""]
    return "\n".join(lines)
