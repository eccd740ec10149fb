import { useQuery } from "@tanstack/react-query";
import type { MapInfo } from "../api/types";
import { KeyHint } from "../app/KeyHint";
import { problemWords } from "../app/Problem";
import { useText } from "../i18n/text";
import { overlayData } from "../viewer/overlays";
import type { ViewerAction, ViewerState } from "../viewer/state";

interface Props {
  readonly maps: readonly MapInfo[];
  readonly map: MapInfo | null;
  readonly machine: ViewerState["machine"];
  dispatch(action: ViewerAction): void;
}

/** The map's switch, opacity and lower end, and the sentence on what it is. */
export function MapControls({ maps, map, machine, dispatch }: Props) {
  const text = useText();
  const { t, concept } = text;
  const data = useQuery({
    queryKey: ["overlay", map?.data], queryFn: () => overlayData(map!.data).then(() => true), enabled: map !== null, staleTime: Infinity, retry: false,
  });
  const change = (part: Partial<ViewerState["machine"]>) => dispatch({ do: "machine", change: part });
  return (
    <div className="map-controls">
      <div className="row">
        <label className="check">
          <input type="checkbox" checked={machine.on} onChange={(event) => change({ on: event.target.checked })} />
          {t("map.title")} <KeyHint action="ai.toggle" />
        </label>
        {map && (
          <>
            <label>{t("map.opacity")}
              <input type="range" min={0.1} max={1} step={0.05} value={machine.opacity} onChange={(event) => change({ opacity: Number(event.target.value) })} />
            </label>
            <label>{t("map.from")}
              <input type="range" min={0} max={0.95} step={0.05} value={machine.from} onChange={(event) => change({ from: Number(event.target.value) })} />
            </label>
          </>
        )}
      </div>
      {maps.length > 1 && (
        <select className="field" aria-label={t("map.choose")} value={map?.id ?? ""} onChange={(event) => change({ map: event.target.value })}>
          {maps.map((one) => <option key={one.id} value={one.id}>{concept(one.meaning)} · {one.model}</option>)}
        </select>
      )}
      <p className="small muted" role="status">
        {!machine.on ? t("map.hidden") : !map ? t("map.none") : data.isPending ? t("map.loading")
          : data.error ? t("map.failed", { why: problemWords(text, data.error) }) : map.says}
      </p>
    </div>
  );
}
