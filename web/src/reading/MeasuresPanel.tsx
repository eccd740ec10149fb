import type { Comparison, Measurement } from "../api/types";
import { significant, unitWords, useText } from "../i18n/text";
import { measureWords } from "../viewer/paint";
import type { Measure } from "../viewer/state";

interface Props {
  readonly measures: readonly Measure[];
  readonly comparison: Comparison | null;
  readonly stated: ReadonlySet<string>;
  readonly canAttach: boolean;
  readonly writable: boolean;
  state(id: string, stated: boolean): void;
  attach(measure: Measure): void;
  remove(id: string): void;
}

/** What was measured, by whom. */
export function MeasuresPanel({ measures, comparison, stated, canAttach, writable, state, attach, remove }: Props) {
  const { t, language, concept } = useText();
  const value = (m: Measurement) => {
    const interval = m.low !== null && m.low !== undefined && m.high !== null && m.high !== undefined
      ? ` (${t("compare.interval", { low: significant(language, m.low), high: significant(language, m.high) })})` : "";
    return `${significant(language, m.value)} ${unitWords(m.unit)}${interval}`;
  };
  return (
    <div className="list">
      {measures.length === 0 && <p className="muted">{t("measures.none")}</p>}
      {measures.length > 0 && <h2>{t("measures.mine")}</h2>}
      {measures.map((measure) => (
        <article key={measure.id} className="card human">
          <h3>{t(`measures.${measure.kind}`)} <small>{measureWords(language, measure)}</small></h3>
          <div className="act">
            {canAttach && <button onClick={() => attach(measure)}>{t("measures.attach")}</button>}
            <button onClick={() => remove(measure.id)}>{t("findings.remove")}</button>
          </div>
        </article>
      ))}
      {comparison && comparison.measurements.length > 0 && <h2>{t("measures.machine")}</h2>}
      {comparison?.measurements.map((m, n) => (
        <article key={m.id ?? n} className="card machine">
          <h3>
            {[concept(m.concept), m.site && concept(m.site), m.laterality && concept(m.laterality)].filter(Boolean).join(", ")}
            <small>{value(m)}</small>
          </h3>
          <p className="muted">{[m.model, m.method, ...(m.flags ?? [])].filter(Boolean).join(" · ")}</p>
          {writable && m.id && (
            <label className="check">
              <input type="checkbox" checked={stated.has(m.id)} onChange={(event) => state(m.id!, event.target.checked)} />
              {t("measures.take")}
            </label>
          )}
        </article>
      ))}
    </div>
  );
}
