import { useCallback, useEffect, useRef, useState, useSyncExternalStore, type PointerEvent as Press, type WheelEvent as Wheel } from "react";
import type { MapInfo, Part } from "../api/types";
import { problemWords } from "../app/Problem";
import { useText } from "../i18n/text";
import type { Mark, Outline } from "../reading/marks";
import { Corners } from "./Corners";
import { View, pictureValues } from "./engine";
import type { Point2, Vec3 } from "./geometry";
import { planeIndex, stackAxis } from "./geometry";
import { ellipseStatistics } from "./measure";
import { paintOverlay, type MachineLayer } from "./paint";
import { pixelsOf } from "./pixels";
import type { Measure, ViewerAction, ViewerState } from "./state";

interface Props {
  readonly index: number;
  readonly state: ViewerState;
  readonly marks: readonly Mark[];
  readonly outlines: readonly Outline[];
  readonly map: MapInfo | null;
  readonly parts: readonly Part[];
  readonly selected: string | null;
  readonly corner: { patient: readonly string[]; series: (part: Part) => readonly string[]; tags: (part: Part) => readonly string[] };
  readonly tagOf: (mark: Mark) => string;
  dispatch(action: ViewerAction): void;
  /** Hears the value under the mouse. */
  hover(value: { part: Part; value: number } | null): void;
}

const MOVES = 4;

/** One picture with everything over it, and the mouse upon it. The engine's surface belongs to this component. */
export function PictureView({ index, state, marks, outlines, map, parts, selected, corner, tagOf, dispatch, hover }: Props) {
  const text = useText();
  const { t } = text;
  const view = state.views[index]!;
  const { stack, n, turn, grey, inverted, fits, zooms } = view;
  const element = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const surface = useRef<View | null>(null);
  const layer = useRef<MachineLayer>({});
  const painter = useRef<() => void>(() => undefined);
  const drag = useRef<{ at: Point2; last: Point2; button: number; moved: boolean; from: Vec3; id: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [drawn, setDrawn] = useState(0);
  const [tries, setTries] = useState(0);
  const pixels = stack ? pixelsOf(stack.part) : null;
  const nothing = useCallback(() => () => undefined, []);
  const loaded = useSyncExternalStore(pixels?.subscribe ?? nothing, () => pixels?.loaded ?? 0);
  const failed = useSyncExternalStore(pixels?.subscribe ?? nothing, () => pixels?.failed ?? null);
  const total = pixels?.slices.length ?? 0;
  const waits = stack !== null && stack.axis !== "acquired" && loaded < total;

  useEffect(() => {
    const made = new View(element.current!, () => {
      painter.current();
      setDrawn((count) => count + 1);
    });
    surface.current = made;
    const watch = new ResizeObserver(() => {
      const { clientWidth, clientHeight } = element.current!;
      if (clientWidth && clientHeight) made.resize();
      painter.current();
    });
    watch.observe(element.current!);
    return () => {
      watch.disconnect();
      surface.current = null;
      made.destroy();
    };
  }, []);

  useEffect(() => {
    if (!stack || waits) return;
    surface.current?.setWindow(grey, inverted);
    surface.current?.show(stack, n, turn)
      .then(() => {
        setError(null);
        // the slice that is looked at comes first, the rest follows
        if (!pixelsOf(stack.part).complete) void pixelsOf(stack.part).load(n);
      })
      .catch(setError);
  }, [stack, n, turn, waits, grey, inverted, tries]);

  useEffect(() => {
    if (fits > 0) surface.current?.fit();
  }, [fits]);

  useEffect(() => {
    if (zooms.count > 0) surface.current?.zoom(zooms.by);
  }, [zooms]);

  painter.current = () => {
    const [shown, over] = [surface.current, canvas.current];
    if (!shown || !over || !stack) return;
    paintOverlay(over, shown, {
      stack, n, turn, parts, marks, outlines, map, selected, tagOf, layer: layer.current,
      opacity: state.machine.opacity, from: state.machine.from, machine: state.machine.on,
      place: state.place, measures: state.measures, text: state.text, language: text.language,
      redraw: () => painter.current(),
    });
  };
  useEffect(() => painter.current());

  const at = (event: { clientX: number; clientY: number }): Point2 => {
    const box = element.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  function press(event: Press): void {
    dispatch({ do: "activate", view: index });
    element.current!.parentElement!.focus({ preventScroll: true });
    if (!surface.current?.ready) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const point = at(event);
    drag.current = { at: point, last: point, button: event.button, moved: false, from: surface.current.canvasToWorld(point), id: crypto.randomUUID() };
  }

  function move(event: Press): void {
    const shown = surface.current;
    if (!shown?.ready || !stack) return;
    const point = at(event);
    const now = drag.current;
    if (!now) return tellValue(point);
    const [dx, dy] = [point[0] - now.last[0], point[1] - now.last[1]];
    now.moved ||= Math.hypot(point[0] - now.at[0], point[1] - now.at[1]) >= MOVES;
    if (!now.moved) return;
    now.last = point;
    if (now.button === 1) shown.pan(dx, dy);
    else if (now.button === 2 || (now.button === 0 && state.tool === "zoom")) shown.zoom(Math.exp(-dy / 150), now.at);
    else if (now.button === 0 && state.tool === "window" && grey) {
      const size = Math.max(Math.abs(grey.width), 1e-6) / 300;
      dispatch({ do: "grey", view: index, grey: { center: grey.center + dy * size, width: Math.max(grey.width + dx * size, size) } });
    } else if (now.button === 0 && (state.tool === "length" || state.tool === "ellipse")) {
      void measured(now.id, state.tool, now.from, shown.canvasToWorld(point)).then((measure) => dispatch({ do: "measure", measure }));
    }
  }

  function release(event: Press): void {
    const now = drag.current;
    drag.current = null;
    if (!now || now.moved || now.button !== 0 || !stack || !surface.current?.plane) return;
    const plane = surface.current.plane;
    const point = surface.current.canvasToWorld(at(event));
    const { row, column } = planeIndex(plane, point);
    const inside = row >= -0.5 && column >= -0.5 && row <= plane.rows - 0.5 && column <= plane.columns - 0.5;
    dispatch({ do: "place", place: inside ? { point, part: stack.part, axis: stack.axis, n } : null });
  }

  async function measured(id: string, kind: "length" | "ellipse", from: Vec3, to: Vec3): Promise<Measure> {
    const plane = stack!.plane(n);
    const statistics = kind === "ellipse" ? ellipseStatistics(await pictureValues(stack!, n), plane, from, to) : null;
    return { id, kind, stack: stack!.id, part: stack!.part, n, from, to, statistics };
  }

  function tellValue(point: Point2): void {
    const shown = surface.current!;
    const plane = stack!.plane(n);
    const { row, column } = planeIndex(plane, shown.canvasToWorld(point));
    const [r, c] = [Math.round(row), Math.round(column)];
    if (r < 0 || c < 0 || r >= plane.rows || c >= plane.columns || stack!.part.channels !== 1) return hover(null);
    const slice = stack!.axis === "acquired" ? pixels!.slices[n] : null;
    if (slice) return hover({ part: stack!.part, value: slice[r * plane.columns + c]! });
    void pictureValues(stack!, n).then((values) => hover({ part: stack!.part, value: values[r * plane.columns + c]! }));
  }

  function scroll(event: Wheel): void {
    const by = Math.sign(event.deltaY || event.deltaX); // with Shift, browsers may turn the wheel across
    dispatch({ do: event.shiftKey && stack && stack.slices < stack.count ? "time" : "scroll", by, view: index });
  }

  const named = stack && stackAxis(stack);
  const label = stack ? [named ? t(`axis.${named}`) : "", ...corner.series(stack.part)].filter(Boolean).join(", ") : t("view.empty");
  return (
    <section className={`vp v${index}${index === state.active ? " on" : ""}`} tabIndex={0} data-view={index}
      data-slice={stack ? n + 1 : undefined} data-drawn={drawn} aria-label={t("view.label", { n: index + 1, what: label })}
      onFocus={() => dispatch({ do: "activate", view: index })} onDoubleClick={() => dispatch({ do: "full" })}>
      <div ref={element} className="surface" onPointerDown={press} onPointerMove={move} onPointerUp={release}
        onPointerCancel={() => (drag.current = null)} onPointerLeave={() => hover(null)} onWheel={scroll}
        onContextMenu={(event) => event.preventDefault()}>
        <canvas ref={canvas} className="overlay" aria-hidden="true" />
      </div>
      {stack && drawn > 0 && !waits && surface.current?.plane && (
        <Corners stack={stack} n={n} plane={surface.current.plane} grey={grey} view={surface.current} visible={state.text}
          large={index === 0 || state.full || state.layout !== 3} patient={corner.patient} series={corner.series(stack.part)} tags={corner.tags(stack.part)} />
      )}
      {!stack && <p className="wait">{t("view.empty")}</p>}
      {Boolean(error ?? failed) && (
        <p className="wait" role="alert">
          {t("view.failed", { why: problemWords(text, error ?? failed) })}{" "}
          <button onClick={() => { setError(null); setTries(tries + 1); void pixels?.load(n); }}>{t("app.retry")}</button>
        </p>
      )}
      {stack && !error && !failed && (waits || drawn === 0) && (
        <p className="wait" role="status">{t("view.loading", { n: loaded, total })}</p>
      )}
    </section>
  );
}
