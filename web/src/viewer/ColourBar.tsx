import type { MapInfo } from "../api/types";
import { significant, unitWords, useText } from "../i18n/text";
import { infernoGradient } from "./inferno";

/** What the colours of a map mean: the range with its unit; what is below the lower end is not painted. */
export function ColourBar({ map, from }: { map: MapInfo; from: number }) {
  const { language, concept } = useText();
  const unit = unitWords(map.unit);
  const show = (value: number) => [significant(language, value, 2), unit].filter(Boolean).join(" ");
  return (
    <figure className="colour-bar" aria-label={concept(map.meaning)}>
      <figcaption>{concept(map.meaning)}</figcaption>
      <div className="ramp" style={{ background: infernoGradient("to top") }}>
        <i style={{ height: `${from * 100}%` }} />
      </div>
      <span className="high">{show(map.high)}</span>
      <span className="low">{show(map.low)}</span>
      {from > 0.1 && from < 0.9 && <span className="from" style={{ bottom: `${from * 100}%` }}>{show(map.low + from * (map.high - map.low))}</span>}
    </figure>
  );
}
