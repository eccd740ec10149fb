"""`coread evaluate` on simulated studies of every design, beside plain loops over definitions."""

from __future__ import annotations

import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from coread.cli.app import main
from coread.evaluation.mrmc.planning import RoeMetz, roe_metz

REL = 1e-8


def long_table(study, keep=None):
    """One row a reading; names in words, so that nothing rests on numbers."""
    rows = [
        (f"R{r + 1}", f"m{m + 1}", f"case {c + 1}", int(study.truth[c]), float(study.ratings[m, r, c]))
        for m, r, c in itertools.product(*map(range, study.ratings.shape))
    ]
    frame = pd.DataFrame(rows, columns=["reader", "modality", "case", "truth", "rating"])
    return frame if keep is None else frame[keep(frame)].reset_index(drop=True)


def simulate(modalities=2, readers=4, diseased=18, healthy=27, *, levels=0, seed=1):
    rng = np.random.default_rng([2026, seed])
    model = RoeMetz(tuple(1.0 + 0.2 * k for k in range(modalities)), reader=0.03, modality_reader=0.03)
    study = roe_metz(model, readers=readers, diseased=diseased, healthy=healthy, rng=rng)
    if levels:
        cuts = np.quantile(study.ratings, np.arange(1, levels) / levels)
        study = type(study)(
            study.modalities,
            study.readers,
            study.cases,
            study.truth,
            np.searchsorted(cuts, study.ratings).astype(float),
        )
    return study


def run(kind: str, *arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["evaluate", kind, *map(str, arguments)]))
    assert int(ended.value.code or 0) == code


def results(capsys, kind: str, *arguments: object):
    run(kind, *arguments, "--json", "--quiet")
    return json.loads(capsys.readouterr().out)["results"]


# ---- plain implementations


def psi(x, y):
    return 1.0 if x > y else 0.5 if x == y else 0.0


class Plain:
    """Areas and their covariances by loops over pairs of cases, from the definitions."""

    def __init__(self, table: pd.DataFrame):
        self.modalities = sorted(table["modality"].unique())
        self.readers = sorted(table["reader"].unique())
        self.cases = sorted(table["case"].unique())
        truth = dict(zip(table["case"], table["truth"], strict=True))
        self.sick = [c for c in self.cases if truth[c] == 1]
        self.well = [c for c in self.cases if truth[c] == 0]
        self.rating = {
            key: dict(zip(part["case"], part["rating"], strict=True))
            for key, part in table.groupby(["modality", "reader"])
        }
        self.cells = [(m, r) for m in self.modalities for r in self.readers if (m, r) in self.rating]

        self.score = {cell: self.success(cell) for cell in self.cells}

    def success(self, cell):
        """psi of every pair (diseased, healthy), NaN where one of the two was not read."""
        x = self.rating[cell]
        return np.array(
            [[psi(x[i], x[j]) if i in x and j in x else np.nan for j in self.well] for i in self.sick]
        )

    def area(self, cell):
        return float(np.nanmean(self.score[cell]))

    def jackknife(self):
        k = len(self.cases)

        def leave_out(cell):
            rows = [np.nanmean(np.delete(self.score[cell], n, axis=0)) for n in range(len(self.sick))]
            columns = [np.nanmean(np.delete(self.score[cell], n, axis=1)) for n in range(len(self.well))]
            return np.array(rows + columns)

        left = {cell: leave_out(cell) for cell in self.cells}
        return {
            (a, b): float(((left[a] - left[a].mean()) * (left[b] - left[b].mean())).sum() * (k - 1) / k)
            for a in self.cells
            for b in self.cells
        }

    def delong(self):
        total = dict.fromkeys(itertools.product(self.cells, self.cells), 0.0)
        for a, b in total:
            for axis in (1, 0):  # over healthy cases, then over diseased ones
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # rows that were not read at all
                    va, vb = (np.nanmean(self.score[c], axis=axis) for c in (a, b))
                pairs = [(x, y) for x, y in zip(va, vb, strict=True) if not np.isnan(x + y)]
                m, n, c = (~np.isnan(va)).sum(), (~np.isnan(vb)).sum(), len(pairs)
                if c:
                    s = sum((x - self.area(a)) * (y - self.area(b)) for x, y in pairs)
                    total[a, b] += s / (m * n - m - n + c)
        return total

    def unbiased(self):
        """E[A B] less the product of means over pairs that share no case (Gallas 2006)."""
        found = {}
        i, j = (k.ravel() for k in np.indices((len(self.sick), len(self.well))))
        apart = (i[:, None] != i) & (j[:, None] != j)
        for a, b in itertools.product(self.cells, self.cells):
            products = np.outer(self.score[a].ravel(), self.score[b].ravel())
            there = ~np.isnan(products)
            share = (there & ~apart).any()
            found[a, b] = (
                self.area(a) * self.area(b) - float(products[there & apart].mean()) if share else 0.0
            )
        return found

    def analysis(self, cov, fixed):
        """Obuchowski and Rockette with Hillis' degrees of freedom, as MRMCaov and RJafroc have them."""
        i, j = len(self.modalities), len(self.readers)
        y = np.array([[self.area((m, r)) for r in self.readers] for m in self.modalities])
        kinds = {"var": [], "cov1": [], "cov2": [], "cov3": []}
        for a, b in itertools.product(self.cells, self.cells):
            same = a[0] == b[0], a[1] == b[1]
            name = {(True, True): "var", (False, True): "cov1", (True, False): "cov2"}.get(same, "cov3")
            kinds[name].append(cov[a, b])
        c = {k: float(np.mean(v)) if v else 0.0 for k, v in kinds.items()}
        t, r, grand = y.mean(1), y.mean(0), y.mean()
        mst = j * sum((t[k] - grand) ** 2 for k in range(i)) / (i - 1)
        cells = itertools.product(range(i), range(j))
        mstr = 0.0
        if j > 1:
            mstr = sum((y[k, n] - t[k] - r[n] + grand) ** 2 for k, n in cells) / ((i - 1) * (j - 1))
        extra = max(c["cov2"] - c["cov3"], 0.0)
        if fixed == "readers":
            den = c["var"] - c["cov1"] + (j - 1) * extra
            out = {"statistic": (i - 1) * mst / den, "df2": None}
            out["p"] = float(stats.chi2.sf(out["statistic"], i - 1))
        else:
            den = mstr + (j * extra if fixed == "none" else 0.0)
            df2 = den**2 / (mstr**2 / ((i - 1) * (j - 1)))
            out = {"statistic": mst / den, "df2": df2, "p": float(stats.f.sf(mst / den, i - 1, df2))}
        out["se"] = float(np.sqrt(2 * den / j))
        spread = stats.norm if out["df2"] is None else stats.t(out["df2"])
        half = float(spread.ppf(0.975)) * out["se"]
        out["differences"] = {
            (a, b): (t[a] - t[b], t[a] - t[b] - half, t[a] - t[b] + half)
            for a, b in itertools.combinations(range(i), 2)
        }
        out["means"] = [self.mean(m, cov, fixed) for m in self.modalities]
        return out | {"components": c}

    def mean(self, modality, cov, fixed):
        cells = [cell for cell in self.cells if cell[0] == modality]
        y, j = np.array([self.area(cell) for cell in cells]), len(cells)
        if fixed == "readers":
            variance, df = sum(cov[a, b] for a in cells for b in cells) / j**2, None
        else:
            s2 = float(y.var(ddof=1))
            cov2 = float(np.mean([cov[a, b] for a in cells for b in cells if a != b]))
            total = s2 + (max(j * cov2, 0.0) if fixed == "none" else 0.0)
            variance, df = total / j, total**2 / (s2**2 / (j - 1))
        half = float((stats.norm if df is None else stats.t(df)).ppf(0.975)) * np.sqrt(variance)
        return float(y.mean()), float(np.sqrt(variance)), df, y.mean() - half, y.mean() + half


FIXED = {"none": "random readers and cases", "readers": "fixed readers", "cases": "fixed cases"}


def check(found, table, method):
    """Compare every analysis of the JSON with the plain one."""
    plain = Plain(table)
    cov = getattr(plain, method)()
    for cell, row in zip(plain.cells, found["readers"], strict=True):
        assert (row["modality"], row["reader"]) == cell
        assert row["auc"] == pytest.approx(plain.area(cell), rel=1e-12)
        assert row["se"] ** 2 == pytest.approx(max(cov[cell, cell], 0), rel=REL, abs=1e-15)
    for (k, a), (n, b) in itertools.product(enumerate(plain.cells), enumerate(plain.cells)):
        assert found["covariance"]["matrix"][k][n] == pytest.approx(cov[a, b], rel=REL, abs=1e-13)
    for fixed, name in FIXED.items():
        if fixed != "readers" and len(plain.readers) == 1:
            assert "not_estimable" in found["analyses"][name]
            continue
        want, got = plain.analysis(cov, fixed), found["analyses"][name]
        test = got["test"]
        assert test["name"] == ("chi-square" if fixed == "readers" else "F")
        assert test["df1"] == len(plain.modalities) - 1
        for key in ("statistic", "df2", "p"):
            assert test[key] == (None if want[key] is None else pytest.approx(want[key], rel=REL))
        if fixed != "cases":
            for ours, theirs in (("variance", "var"), ("cov1", "cov1"), ("cov2", "cov2"), ("cov3", "cov3")):
                assert got["components"][ours] == pytest.approx(
                    want["components"][theirs], rel=REL, abs=1e-14
                )
        for mine, theirs in zip(got["differences"], want["differences"].values(), strict=True):
            limits = mine["interval"]["low"], mine["interval"]["high"]
            assert (mine["estimate"], *limits) == pytest.approx(theirs, rel=REL, abs=1e-12)
            assert mine["se"] == pytest.approx(want["se"], rel=REL)
        for mine, theirs in zip(got["means"], want["means"], strict=True):
            limits = mine["interval"]["low"], mine["interval"]["high"]
            assert (mine["estimate"], mine["se"], *limits) == pytest.approx(
                (theirs[0], theirs[1], *theirs[3:]), rel=REL
            )
            assert mine["df"] == (None if theirs[2] is None else pytest.approx(theirs[2], rel=REL))


def drop(share, seed=3):
    return lambda frame: np.random.default_rng(seed).random(len(frame)) >= share


def split_plot(groups):
    return lambda f: f["reader"].str[1:].astype(int) % groups == f["case"].str[5:].astype(int) % groups


DESIGNS = {
    "crossed": ({"readers": 3}, None),
    "three modalities": ({"modalities": 3, "readers": 3, "levels": 5}, None),
    "two readers": ({"readers": 2, "levels": 4}, None),
    "one reader": ({"readers": 1}, None),
    "unbalanced": ({"readers": 3, "diseased": 7, "healthy": 31}, None),
    "missing readings": ({"readers": 3, "levels": 6}, drop(0.15)),
    "split-plot": ({"readers": 4, "diseased": 20, "healthy": 24}, split_plot(2)),
    "cases nested in readers": ({"readers": 3, "diseased": 24, "healthy": 24}, split_plot(3)),
}


@pytest.mark.parametrize("method", ["delong", "jackknife", "unbiased"])
@pytest.mark.parametrize("design", DESIGNS)
def test_reader_studies_of_any_design_equal_plain_loops(design, method, tmp_path: Path, capsys):
    how, keep = DESIGNS[design]
    table = long_table(simulate(**how), keep)
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "t.csv", index=False)
    fixed = "readers" if design == "one reader" else "none"
    found = results(capsys, "mrmc", tmp_path / "t.csv", "--method", method, "--fixed", fixed)
    check(found, table, method)


def test_cases_nested_in_modalities(tmp_path: Path, capsys):
    table = long_table(simulate(readers=3, diseased=20, healthy=20))
    table["case"] = table["case"] + " of " + table["modality"]
    table.to_csv(tmp_path / "t.csv", index=False)
    found = results(capsys, "mrmc", tmp_path / "t.csv", "--method", "jackknife")
    check(found, table, "jackknife")
    assert found["Obuchowski-Rockette"]["components"]["cov1"] == 0


@pytest.mark.parametrize("readers", [(3, 3), (2, 4)])
def test_readers_nested_in_modalities(readers, tmp_path: Path, capsys):
    """Hillis 2014: MS(R(T)) with sum(J) - I degrees of freedom, Cov2 and Cov3 over cases."""
    count = sum(readers)
    table = long_table(
        simulate(readers=count),
        lambda f: (f["reader"].str[1:].astype(int) <= readers[0]) == (f["modality"] == "m1"),
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    found = results(capsys, "mrmc", tmp_path / "t.csv")
    plain = Plain(table)
    cov = plain.delong()
    groups = [[c for c in plain.cells if c[0] == m] for m in plain.modalities]
    y = [np.array([plain.area(c) for c in g]) for g in groups]
    ms = sum(((v - v.mean()) ** 2).sum() for v in y) / (count - 2)
    cov2 = np.mean([cov[a, b] for g in groups for a in g for b in g if a != b])
    cov3 = np.mean([cov[a, b] for a in groups[0] for b in groups[1]])
    inverse = sum(1 / n for n in readers)
    variance = ms * inverse + 2 * max(cov2 - cov3, 0)
    df = variance**2 / ((ms * inverse) ** 2 / (count - 2))
    got = found["Obuchowski-Rockette"]
    assert got["design"] == "readers nested in modalities"
    (difference,) = got["differences"]
    assert difference["estimate"] == pytest.approx(y[0].mean() - y[1].mean(), rel=1e-12)
    assert (difference["se"], difference["df"]) == pytest.approx((np.sqrt(variance), df), rel=REL)
    t = difference["estimate"] / np.sqrt(variance)
    assert got["test"]["statistic"] == pytest.approx(t**2, rel=REL)
    assert got["test"]["p"] == pytest.approx(2 * stats.t.sf(abs(t), df), rel=REL)
    fixed = found["analyses"]["fixed readers"]["differences"][0]["se"] ** 2
    var = np.mean([cov[a, a] for g in groups for a in g])
    want = var * inverse + sum((n - 1) / n for n in readers) * cov2 - 2 * cov3
    assert fixed == pytest.approx(want, rel=REL)


def test_one_modality_alone(tmp_path: Path, capsys):
    table = long_table(simulate(modalities=1, readers=3))
    table.to_csv(tmp_path / "t.csv", index=False)
    found = results(capsys, "mrmc", tmp_path / "t.csv")
    plain = Plain(table)
    cov = plain.delong()
    for fixed, name in FIXED.items():
        (mine,) = found["analyses"][name]["means"]
        want = plain.mean("m1", cov, fixed)
        assert (mine["estimate"], mine["se"]) == pytest.approx(want[:2], rel=REL)
        assert mine["df"] == (None if want[2] is None else pytest.approx(want[2], rel=REL))


def test_readers_who_read_only_some_modalities_have_u_statistics_and_a_reason(tmp_path: Path, capsys):
    table = long_table(simulate(readers=3), lambda f: ~((f["reader"] == "R2") & (f["modality"] == "m2")))
    table.to_csv(tmp_path / "t.csv", index=False)
    run("mrmc", tmp_path / "t.csv", "--out", tmp_path / "o", "--quiet")
    document = json.loads((tmp_path / "o" / "results.json").read_text())
    assert any("reader R2 read nothing in m2" in line for line in document["checks"])
    assert "Obuchowski-Rockette" not in document["results"]
    assert 0 < document["results"]["U-statistic m1 - m2"]["p"] <= 1


def test_u_statistics_of_missing_readings_equal_plain_loops(tmp_path: Path, capsys):
    """Var = sum of c_k M_k over what two success scores share (Gallas), by enumeration of all pairs."""
    table = long_table(simulate(readers=2, diseased=6, healthy=7, levels=4), drop(0.2))
    table.to_csv(tmp_path / "t.csv", index=False)
    found = results(capsys, "mrmc", tmp_path / "t.csv")
    plain = Plain(table)

    def scores(modality):
        return [
            (r, i, j, psi(x[i], x[j]))
            for (m, r), x in plain.rating.items()
            if m == modality
            for i in plain.sick
            if i in x
            for j in plain.well
            if j in x
        ]

    def covariance(one, two):
        sums, counts = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
        for (r, i, j, s), (r2, i2, j2, s2) in itertools.product(one, two):
            key = int(r == r2), int(i == i2), int(j == j2)
            sums[key] += s * s2
            counts[key] += 1
        moments = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
        share = counts / counts.sum()
        return float((share * moments).sum() - moments[0, 0, 0])

    a, b = scores("m1"), scores("m2")
    want = covariance(a, a) + covariance(b, b) - 2 * covariance(a, b)
    assert found["U-statistic m1 - m2"]["unbiased"] == pytest.approx(want, rel=REL)
    assert found["U-statistic m1"]["unbiased"] == pytest.approx(covariance(a, a), rel=REL)


# ---- the same table written otherwise gives the same answer


def _imrmc(table):
    first = table.drop_duplicates("case")
    truth = pd.DataFrame(
        {"readerID": "truth", "caseID": first["case"], "modalityID": "truth", "score": first["truth"]}
    )
    names = {"reader": "readerID", "case": "caseID", "modality": "modalityID", "rating": "score"}
    readings = table.rename(columns=names)[list(truth.columns)]
    return pd.concat([readings, truth])


WRITTEN = {
    "semicolons and decimal commas": lambda t, p: t.to_csv(p, sep=";", decimal=",", index=False),
    "tabs": lambda t, p: t.to_csv(p, sep="\t", index=False),
    "mark of byte order": lambda t, p: t.to_csv(p, index=False, encoding="utf-8-sig"),
    "Unicode text of Excel": lambda t, p: t.to_csv(p, sep="\t", index=False, encoding="utf-16"),
    "sep= line": lambda t, p: p.write_text("sep=;\n" + t.to_csv(sep=";", decimal=",", index=False)),
    "lines of Windows": lambda t, p: t.to_csv(p, index=False, lineterminator="\r\n"),
    "row names of R": lambda t, p: p.write_text(_r_table(t)),
    "write.csv": lambda t, p: t.to_csv(p),
    "empty columns and rows": lambda t, p: p.write_text(
        "\n".join(line + ",," for line in t.to_csv(index=False).splitlines()) + "\n,,,,,,\n"
    ),
    "other order and more columns": lambda t, p: t.assign(age=50, note="a, b")[
        ["note", "rating", "case", "age", "truth", "modality", "reader"]
    ].to_csv(p, index=False),
    "other names": lambda t, p: t.rename(
        columns={"reader": "Rater", "modality": "Treatment", "case": "Case_ID", "rating": "Score"}
    ).to_csv(p, index=False),
    "iMRMC": lambda t, p: _imrmc(t).to_csv(p, index=False),
    "yes and no": lambda t, p: t.assign(truth=t["truth"].map({1: "Yes", 0: "no"})).to_csv(p, index=False),
    "Good and Poor": lambda t, p: t.assign(truth=t["truth"].map({1: "Poor", 0: "Good"})).to_csv(
        p, index=False
    ),
    "-1 and 1": lambda t, p: t.assign(truth=2 * t["truth"] - 1).to_csv(p, index=False),
    "truth in words": lambda t, p: t.assign(truth=t["truth"].map({1: "TRUE", 0: "FALSE"})).to_csv(
        p, index=False
    ),
}


def _r_table(table):
    """What write.table of R writes: names of rows without a header, all quoted."""
    lines = ["\t".join(f'"{c}"' for c in table.columns)]
    lines += ["\t".join(f'"{v}"' for v in row) for row in table.itertuples()]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def same_study():
    return long_table(simulate(readers=3, levels=0))


@pytest.mark.parametrize("way", WRITTEN)
def test_a_table_written_otherwise_gives_the_same_answer(way, same_study, tmp_path: Path, capsys):
    same_study.to_csv(tmp_path / "plain.csv", index=False)
    WRITTEN[way](same_study, tmp_path / "other.csv")
    one, two = (results(capsys, "mrmc", tmp_path / f"{n}.csv") for n in ("plain", "other"))
    for key in ("Obuchowski-Rockette", "U-statistic m1 - m2", "covariance"):
        assert json.dumps(one[key]) == json.dumps(two[key])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(truth=[-1, 0, *t["truth"][2:]]), "rows 1: -1"),
        (lambda t: t.assign(reader=[None, *t["reader"][1:]]), "reader is missing in rows 1"),
        (lambda t: t.assign(rating=["x", *t["rating"][1:]]), "rating is no number in rows 1"),
        (lambda t: pd.concat([t, t.head(2)]), "occur twice in rows 1, 2, 271, 272"),
        (lambda t: t.assign(truth=t["truth"].map({1: "blue", 0: "green"})), "--positive"),
        (lambda t: t.assign(truth=1), "cases of one class only"),
    ],
)
def test_faults_are_named_by_row(change, words, same_study, tmp_path: Path, capsys):
    change(same_study).to_csv(tmp_path / "t.csv", index=False)
    run("mrmc", tmp_path / "t.csv", "--json", code=3)
    assert words in capsys.readouterr().err


def test_a_word_for_disease_can_be_given(same_study, tmp_path: Path, capsys):
    same_study.to_csv(tmp_path / "a.csv", index=False)
    words = same_study["truth"].map({1: "blue", 0: "green"})
    same_study.assign(truth=words).to_csv(tmp_path / "b.csv", index=False)
    one = results(capsys, "mrmc", tmp_path / "a.csv")
    two = results(capsys, "mrmc", tmp_path / "b.csv", "--positive", "Blue")
    assert one["covariance"] == two["covariance"]


def test_ragged_tables_and_workbooks_are_refused(tmp_path: Path, capsys):
    (tmp_path / "t.csv").write_text("truth,p\n1,0.5\n0,0.2,0.3\n")
    run("roc", tmp_path / "t.csv", "--json", code=3)
    assert "row 2 has 3 cells" in capsys.readouterr().err
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    run("roc", tmp_path / "t.xlsx", "--json", code=3)
    assert "save the sheet as CSV" in capsys.readouterr().err
    (tmp_path / "u.csv").write_text("case,truth,p\na,1,0.5\nb,0,0.2\na,1,0.3\n")
    run("roc", tmp_path / "u.csv", "--json", code=3)
    assert "the same case in rows 1, 3" in capsys.readouterr().err
