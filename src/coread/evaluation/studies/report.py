"""What every study reports: one self-contained HTML page, JSON in full precision, the block for a card."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import numpy as np
from jinja2 import Environment

from coread.errors import InputError

ITEMS = {
    "roc": (
        "STARD 2015, 14 and 24: estimates of accuracy and their precision",
        "CLAIM 2020, 28, 29 and 36: metrics, their uncertainty, accuracy with intervals",
        "TRIPOD+AI, 12 and 23: measures of discrimination, with intervals",
    ),
    "mrmc": (
        "STARD 2015, 14, 17 and 24: comparison, variability of readers, precision",
        "CLAIM 2020, 28, 29 and 36: metrics, uncertainty, accuracy with intervals",
    ),
    "calibration": ("TRIPOD+AI, 12 and 23: calibration, with intervals", "CLAIM 2020, 28: metrics"),
    "utility": ("TRIPOD+AI, 12 and 23: clinical utility",),
    "survival": ("TRIPOD+AI, 12 and 23: discrimination and overall performance under censoring",),
    "agreement": ("STARD 2015, 17: variability", "CLAIM 2020, 29: statistical uncertainty"),
    "segmentation": ("CLAIM 2020, 28 and 36: metrics of a segmentation",),
    "subgroup": ("TRIPOD+AI, 14 and 23: fairness, performance by subgroup", "CLAIM 2020, 30: robustness"),
    "drift": ("CLAIM 2020, 30: robustness",),
    "double-reading": ("STARD 2015, 24: accuracy and precision", "CLAIM 2020, 36: accuracy with intervals"),
}
ITEMS["froc"] = ITEMS["mrmc"]


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

    with mpl.rc_context({"svg.hashsalt": "coread", "font.size": 9}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def show(value: Any) -> str:
    """Return a value for people."""
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:.4g}" if abs(number) < 1e-3 or abs(number) >= 1e4 else f"{number:.4f}"
    return str(value)


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>{{ r.title }}</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{border-bottom:1px solid #d5d9de;
padding:.25rem .7rem;
text-align:right}th:first-child,td:first-child{text-align:left}
h2{font-size:1.1rem;margin-top:1.6rem}
figure{display:inline-block;margin:.5rem}figcaption{color:#555}svg{max-width:100%;height:auto}
</style></head><body><h1>{{ r.title }}</h1><p>Research use, not for diagnosis.</p>
<h2>The table</h2><ul>{% for c in r.checks %}<li>{{ c }}</li>{% endfor %}</ul>
{% for t in r.tables %}<h2>{{ t.title }}</h2>
<table><tr>{% for c in t.columns %}<th>{{ c }}</th>{% endfor %}</tr>
{% for row in t.rows %}<tr>{% for v in row %}<td>{{ show(v) }}</td>{% endfor %}</tr>{% endfor %}</table>
{% endfor %}
{% for title, svg in r.plots %}<figure>{{ svg | safe }}
<figcaption>{{ title }}</figcaption></figure>{% endfor %}
<h2>Methods</h2><ul>{% for m in r.methods %}<li>{{ m }}</li>{% endfor %}</ul>
<h2>Items of reporting guidelines that this analysis fills</h2>
<ul>{% for i in r.items %}<li>{{ i }}</li>{% endfor %}</ul>
<h2>Where it comes from</h2>
<table>{% for k, v in provenance.items() %}<tr><td>{{ k }}</td><td>{{ v }}</td></tr>
{% endfor %}</table></body></html>
"""


def html(report: StudyReport, provenance: dict[str, str]) -> str:
    """Return the page; it needs nothing from outside."""
    return Environment(autoescape=True).from_string(_PAGE).render(r=report, provenance=provenance, show=show)


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


def curves(lines: Sequence[tuple[str, Any, Any]], x: str, y: str, *, diagonal: bool = False) -> str:
    """Return a plot of named lines."""

    def draw(axes: Any) -> None:
        for name, xs, ys in lines:
            axes.plot(xs, ys, label=name, lw=1.3)
        if diagonal:
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
        axes.set(xlabel=x, ylabel=y)
        axes.legend(frameon=False, fontsize=8)

    return plot(draw)
