import type { Card } from "../api/types";
import { fixed, useText } from "../i18n/text";

export type Curve = Card["curves"][number];
const SIDE = 200, EDGE = 34;

/** Where a probability lies on the plot, from the left or from the bottom. */
export const along = (value: number): number => EDGE + value * SIDE;
export const up = (value: number): number => 8 + (1 - value) * SIDE;

/** How often cases were so by the probability said: the closer to the diagonal, the better calibrated. */
export function CalibrationPlot({ curve, thresholds }: { curve: Curve; thresholds: number[] }) {
  const { t, language } = useText();
  const said = (value: number) => fixed(language, value, 1);
  const most = Math.max(...curve.bins.map((bin) => bin.cases));
  const told = curve.bins.map((bin) => t("models.curve.bin", {
    said: fixed(language, bin.said, 2), seen: fixed(language, bin.seen, 2), n: bin.cases,
  })).join("; ");
  return (
    <figure className="calibration">
      <svg viewBox={`0 0 ${SIDE + EDGE + 8} ${SIDE + EDGE + 8}`} role="img" aria-label={`${t("models.curve")}: ${told}`}>
        <rect className="square" x={along(0)} y={up(1)} width={SIDE} height={SIDE} />
        <line className="ideal" x1={along(0)} y1={up(0)} x2={along(1)} y2={up(1)} />
        {thresholds.map((value) => (
          <line key={value} className="threshold" x1={along(value)} y1={up(0)} x2={along(value)} y2={up(1)} />
        ))}
        {curve.bins.map((bin) => (
          <line key={bin.said} className="interval" x1={along(bin.said)} y1={up(bin.low)} x2={along(bin.said)} y2={up(bin.high)} />
        ))}
        <polyline className="curve" points={curve.bins.map((bin) => `${along(bin.said)},${up(bin.seen)}`).join(" ")} />
        {curve.bins.map((bin) => (
          <circle key={bin.said} className="bin" cx={along(bin.said)} cy={up(bin.seen)} r={2 + 3 * Math.sqrt(bin.cases / most)}>
            <title>{t("models.curve.bin", { said: fixed(language, bin.said, 2), seen: fixed(language, bin.seen, 2), n: bin.cases })}</title>
          </circle>
        ))}
        {[0, 0.5, 1].map((value) => (
          <g key={value}>
            <text x={along(value)} y={up(0) + 12} textAnchor="middle">{said(value)}</text>
            <text x={along(0) - 4} y={up(value) + 3} textAnchor="end">{said(value)}</text>
          </g>
        ))}
        <text x={along(0.5)} y={up(0) + 26} textAnchor="middle">{t("models.curve.said")}</text>
        <text transform={`translate(9 ${up(0.5)}) rotate(-90)`} textAnchor="middle">{t("models.curve.seen")}</text>
      </svg>
      <figcaption className="muted">
        {t(curve.source === "site" ? "models.curve.site" : "models.curve.card", { n: curve.cases, date: curve.date })}
        {` ${curve.data}`}
        {thresholds.length > 0 && <br />}
        {thresholds.length > 0 && t("models.curve.threshold")}
      </figcaption>
    </figure>
  );
}
