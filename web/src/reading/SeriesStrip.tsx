import type { Part, Series, Study } from "../api/types";
import { studyDay, useText } from "../i18n/text";

interface Props {
  readonly study: Study;
  readonly shown: ReadonlySet<string>;
  readonly active: string | null;
  show(part: Part): void;
}

/** The series of this study, then those of its priors by date. */
export function SeriesStrip({ study, shown, active, show }: Props) {
  const { t, language } = useText();
  return (
    <nav className="strip" aria-label={t("series.title")}>
      <h2>{t("series.this")}</h2>
      {study.series.length === 0 && <p className="muted">{t("series.none")}</p>}
      {study.series.map((series) => <Thumbs key={series.uid} {...{ series, shown, active, show }} />)}
      {study.priors.map((prior) => (
        <section key={prior.study}>
          <h2>{studyDay(language, prior.time) || prior.description}</h2>
          {prior.series.map((series) => <Thumbs key={series.uid} {...{ series, shown, active, show }} />)}
        </section>
      ))}
    </nav>
  );
}

function Thumbs({ series, shown, active, show }: { series: Series } & Omit<Props, "study">) {
  const { t } = useText();
  const name = series.description || t("series.unnamed", { n: series.number ?? "" });
  // a series of a prior is here before its parts are
  if (series.parts.length === 0) {
    return (
      <div className="thumb waiting" title={t("series.loading")}>
        {series.thumbnail && <img src={series.thumbnail} alt="" loading="lazy" />}
        <span>{name}</span>
      </div>
    );
  }
  return series.parts.map((part, n) => (
    <button key={part.key} className={`thumb${shown.has(part.key) ? " shown" : ""}`} aria-pressed={part.key === active} onClick={() => show(part)}>
      {series.thumbnail && <img src={thumbnail(series.thumbnail, series, part)} alt="" loading="lazy" />}
      <span>
        {name}
        {series.parts.length > 1 && ` (${n + 1})`}
        {" · "}
        {part.kind === "volume" ? part.shape[0] : part.instances.length}
      </span>
    </button>
  ));
}

/** The middle image of a part, where a series has several; else the series' own. */
export function thumbnail(address: string, series: Series, part: Part): string {
  const middle = part.instances[Math.floor(part.instances.length / 2)];
  return series.parts.length > 1 && middle ? address.replace(/thumbnail$/, `instances/${middle.uid}/thumbnail`) : address;
}
