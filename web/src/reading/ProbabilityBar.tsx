import type { Probability } from "../api/types";
import { probabilityWords, useText } from "../i18n/text";
import { ofHundred } from "./findings";

/** A probability in its context: value, interval, the threshold it acts above, and what it means for 100 marks. */
export function ProbabilityBar({ probability }: { probability: Probability }) {
  const { t, language } = useText();
  const { value, low, high, threshold, calibrated } = probability;
  const show = (x: number) => probabilityWords(language, x);
  const at = (x: number) => `${(100 * x).toFixed(1)}%`;
  const many = ofHundred(probability);
  const interval = low !== null && high !== null && low !== undefined && high !== undefined;
  return (
    <>
      <div className="num">
        <b>{show(value)}</b>
        <span className="muted">
          {interval ? t("compare.interval", { low: show(low), high: show(high) }) : t("compare.no_interval")}
          {" · "}
          {t(value >= threshold ? "compare.acts" : "compare.below", { t: show(threshold) })}
        </span>
      </div>
      <div className="bar" aria-hidden="true">
        {interval && <i style={{ left: at(low), width: at(high - low) }} />}
        <b style={{ left: at(value) }} />
        <u style={{ left: at(threshold) }} />
      </div>
      <p className="muted">
        {t(calibrated ? "compare.calibrated" : "compare.uncalibrated")}
        {". "}
        {many !== null && t("compare.of_hundred", { n: many })}
      </p>
    </>
  );
}
