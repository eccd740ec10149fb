/** Paints all that lies over one picture, from back to front. */
import type { Language, MapInfo, Part } from "../api/types";
import { significant } from "../i18n/text";
import type { Mark, Outline } from "../reading/marks";
import {
  drawMap, drawPlace, drawScale, drawTag, edgesPath, linePath, mapCanvas, pointPath, strokeVoice, type ToCanvas,
} from "./draw";
import type { View } from "./engine";
import { norm, planeIndex, planePoint, type Plane, type Point2, type Stack, type Turn, type Vec3 } from "./geometry";
import { distance } from "./measure";
import { regionEdges, type Edge } from "./outline";
import { overlayData, overlayPicture } from "./overlays";
import { regionOnPicture } from "./regions";
import type { Measure, Place } from "./state";

/** What was cut and painted last for one view, kept until the picture or the threshold changes. */
export interface MachineLayer {
  map?: { key: string; canvas: HTMLCanvasElement; plane: Plane } | undefined;
  outlines?: Map<string, { edges: Edge[]; plane: Plane } | null> | undefined;
  picture?: string;
  waiting?: Set<string>;
}

export interface Painted {
  readonly stack: Stack;
  readonly n: number;
  readonly turn: Turn;
  readonly parts: readonly Part[];
  readonly marks: readonly Mark[];
  readonly outlines: readonly Outline[];
  readonly map: MapInfo | null;
  readonly selected: string | null;
  readonly tagOf: (mark: Mark) => string;
  readonly layer: MachineLayer;
  readonly opacity: number;
  readonly from: number;
  readonly machine: boolean;
  readonly place: Place | null;
  readonly measures: readonly Measure[];
  readonly text: boolean;
  readonly language: Language;
  redraw(): void;
}

const ready = new Map<string, Uint8Array>();

/** The values of an address when they are here; else they are fetched and the view is painted again. */
function dataOf(address: string, what: Painted): Uint8Array | null {
  const here = ready.get(address);
  if (here) return here;
  what.layer.waiting ??= new Set();
  if (!what.layer.waiting.has(address)) {
    what.layer.waiting.add(address);
    overlayData(address)
      .then((data) => {
        ready.set(address, data);
        what.redraw();
      })
      .catch(() => undefined) // the panel says why
      .finally(() => what.layer.waiting!.delete(address));
  }
  return null;
}

export const forgetPainted = (): void => ready.clear();

export function paintOverlay(canvas: HTMLCanvasElement, view: View, what: Painted): void {
  const ratio = window.devicePixelRatio || 1;
  const size: Point2 = [canvas.clientWidth, canvas.clientHeight];
  const [width, height] = [Math.round(size[0] * ratio), Math.round(size[1] * ratio)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d")!;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const plane = view.plane;
  if (!plane) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const toCanvas: ToCanvas = (point) => view.worldToCanvas(point);
  const key = `${what.stack.id}/${what.n}/${what.turn.quarters}${what.turn.flipped}`;
  if (what.layer.picture !== key) Object.assign(what.layer, { picture: key, outlines: undefined });
  if (what.machine) {
    paintMap(context, what, key, toCanvas);
    paintOutlines(context, what, toCanvas);
  }
  for (const mark of what.marks) paintMark(context, what, mark, plane, toCanvas, size);
  for (const measure of what.measures) paintMeasure(context, what, measure, toCanvas, size);
  if (what.place && isHere(what, what.place, plane)) drawPlace(context, toCanvas(what.place.point));
  if (what.text && what.stack.part.spacing_mm) {
    const a = toCanvas(plane.origin), b = toCanvas(planePoint(plane, 0, 1));
    drawScale(context, Math.hypot(b[0] - a[0], b[1] - a[1]) / norm(plane.u), size);
  }
}

function isHere({ stack, n }: Painted, place: Place, plane: Plane): boolean {
  if (!place.part.affine) return place.part.key === stack.part.key && place.n === n;
  if (place.part.frame_of_reference !== stack.part.frame_of_reference) return false;
  return Math.abs(planeIndex(plane, place.point).distance) <= (stack.step ?? 1) / 2 + 1e-3;
}

const partOf = ({ parts }: Painted, key: string): Part | undefined => parts.find((part) => part.key === key);

function paintMap(context: CanvasRenderingContext2D, what: Painted, picture: string, toCanvas: ToCanvas): void {
  const part = what.map && partOf(what, what.map.part_key);
  if (!what.map || !part) return;
  const key = `${what.map.id}/${picture}/${what.from}`;
  if (what.layer.map?.key !== key) {
    const data = dataOf(what.map.data, what);
    const cut = data && overlayPicture(data, part, what.stack, what.n, what.turn);
    what.layer.map = cut ? { key, canvas: mapCanvas(cut.pixels, cut.plane, what.from), plane: cut.plane } : undefined;
  }
  if (what.layer.map) drawMap(context, what.layer.map.canvas, what.layer.map.plane, toCanvas, what.opacity);
}

function paintOutlines(context: CanvasRenderingContext2D, what: Painted, toCanvas: ToCanvas): void {
  what.layer.outlines ??= new Map();
  for (const { segment, voice, strong } of what.outlines) {
    let outline = what.layer.outlines.get(segment.id);
    if (outline === undefined) {
      const part = partOf(what, segment.part_key);
      const data = part ? dataOf(segment.data, what) : null;
      if (!data) continue;
      const cut = overlayPicture(data, part!, what.stack, what.n, what.turn, segment.time ?? null);
      outline = cut ? { edges: regionEdges(cut.pixels, cut.plane.rows, cut.plane.columns), plane: cut.plane } : null;
      what.layer.outlines.set(segment.id, outline);
    }
    if (!outline?.edges.length) continue;
    context.globalAlpha = strong ? 1 : 0.7;
    edgesPath(context, outline.edges, outline.plane, toCanvas);
    strokeVoice(context, voice, strong && what.selected === segment.finding);
    context.globalAlpha = 1;
  }
}

function paintMark(
  context: CanvasRenderingContext2D, what: Painted, mark: Mark, plane: Plane, toCanvas: ToCanvas, size: Point2,
): void {
  const shape = regionOnPicture(mark.finding, what.stack, what.n, plane);
  if (!shape || mark.finding.status === "absent") return;
  const on = mark.finding.id === what.selected;
  if (mark.finding.region?.type === "mask" && what.outlines.some(({ segment }) => segment.finding === mark.finding.id)) {
    // its outline is drawn from its pixels; here it only gets its words
    if (on) drawTag(context, what.tagOf(mark), toCanvas(shape.points[0]!), mark.voice, size);
    return;
  }
  const points = shape.points.map(toCanvas);
  if (shape.shape === "point") {
    const edge = toCanvas(add3(shape.points[0]!, plane, shape.radius));
    const radius = Math.max(11, Math.hypot(edge[0] - points[0]![0], edge[1] - points[0]![1]) * 1.25);
    pointPath(context, points[0]!, radius);
    strokeVoice(context, mark.voice, on);
    if (on) drawTag(context, what.tagOf(mark), [points[0]![0] + radius * 0.7, points[0]![1] - radius * 0.7], mark.voice, size);
    return;
  }
  linePath(context, points, true);
  strokeVoice(context, mark.voice, on);
  if (on && points[0]) drawTag(context, what.tagOf(mark), points[0], mark.voice, size);
}

const add3 = (point: Vec3, plane: Plane, mm: number): Vec3 => {
  const length = norm(plane.u);
  return [0, 1, 2].map((n) => point[n]! + (plane.u[n]! / length) * mm) as unknown as Vec3;
};

function paintMeasure(
  context: CanvasRenderingContext2D, what: Painted, measure: Measure, toCanvas: ToCanvas, size: Point2,
): void {
  if (measure.stack !== what.stack.id || measure.n !== what.n) return;
  const a = toCanvas(measure.from), b = toCanvas(measure.to);
  context.beginPath();
  if (measure.kind === "length") {
    context.moveTo(...a);
    context.lineTo(...b);
  } else {
    context.ellipse((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, Math.abs(b[0] - a[0]) / 2, Math.abs(b[1] - a[1]) / 2, 0, 0, 2 * Math.PI);
  }
  strokeVoice(context, "human", true);
  drawTag(context, measureWords(what.language, measure), b, "human", size);
}

/** A measurement in numbers with its unit; pixels where the size of a pixel is unknown. */
export function measureWords(language: Language, measure: Measure): string {
  const known = measure.part.spacing_mm !== null;
  if (measure.kind === "length" || !measure.statistics) {
    return `${significant(language, distance(measure.from, measure.to))} ${known ? "mm" : "px"}`;
  }
  const { area, mean, deviation } = measure.statistics;
  const unit = measure.part.unit === "stored" ? "" : ` ${measure.part.unit}`;
  return `${significant(language, area)} ${known ? "mm²" : "px²"} · ${significant(language, mean)} ± ${significant(language, deviation)}${unit}`;
}
