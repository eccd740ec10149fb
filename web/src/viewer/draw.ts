/** Everything drawn over a picture: the map, outlines, marks, measurements, the scale bar. */
import { INFERNO } from "./inferno";
import { planePoint, type Plane, type Point2, type Vec3 } from "./geometry";
import type { Edge } from "./outline";

export type Voice = "human" | "machine" | "agreed";

const COLOURS: Record<Voice, string> = { human: "#f0a93b", machine: "#6cb8f0", agreed: "#4fc3a1" };
const DASHES: Record<Voice, number[]> = { human: [], machine: [6, 4], agreed: [] };

export type ToCanvas = (point: Vec3) => Point2;

/** The matrix from a picture's (column, row) to the canvas, by its corner pixels. */
export function pictureMatrix(plane: Plane, toCanvas: ToCanvas): DOMMatrix2DInit {
  const o = toCanvas(plane.origin), u = toCanvas(planePoint(plane, 0, 1)), v = toCanvas(planePoint(plane, 1, 0));
  return { a: u[0] - o[0], b: u[1] - o[1], c: v[0] - o[0], d: v[1] - o[1], e: o[0], f: o[1] };
}

/** Paint an 8-bit map in inferno: 1 to 255 are low to high, 0 is nothing; below the threshold nothing is painted. */
export function mapCanvas(pixels: Uint8Array, plane: Plane, from: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = plane.columns;
  canvas.height = plane.rows;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(plane.columns, plane.rows);
  const out = new Uint32Array(image.data.buffer);
  const least = Math.max(1, Math.round(1 + from * 254));
  for (let p = 0; p < pixels.length; p++) {
    const value = pixels[p]!;
    if (value < least) continue;
    // little endian: alpha, blue, green, red
    out[p] = 0xff000000 | (INFERNO[value * 3 + 2]! << 16) | (INFERNO[value * 3 + 1]! << 8) | INFERNO[value * 3]!;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

export function drawMap(context: CanvasRenderingContext2D, picture: HTMLCanvasElement, plane: Plane, toCanvas: ToCanvas, opacity: number): void {
  const { a, b, c, d, e, f } = pictureMatrix(plane, toCanvas);
  context.save();
  context.transform(a!, b!, c!, d!, e!, f!);
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = false;
  // indices are pixel centres, the picture begins half a pixel before the first
  context.drawImage(picture, -0.5, -0.5);
  context.restore();
}

/** A voice's line: solid for the person, dashed for the machine, double for agreement; a dark rim keeps it visible. */
export function strokeVoice(context: CanvasRenderingContext2D, voice: Voice, strong: boolean): void {
  const width = strong ? 2 : 1.25;
  context.save();
  context.lineJoin = "round";
  context.setLineDash([]);
  context.strokeStyle = "rgba(0,0,0,.75)";
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = COLOURS[voice];
  context.setLineDash(DASHES[voice]);
  context.lineWidth = voice === "agreed" ? width + 2.5 : width;
  context.stroke();
  if (voice === "agreed") {
    context.strokeStyle = "#000";
    context.lineWidth = width - 0.25;
    context.stroke();
  }
  context.restore();
}

export function edgesPath(context: CanvasRenderingContext2D, edges: readonly Edge[], plane: Plane, toCanvas: ToCanvas): void {
  const { a, b, c, d, e, f } = pictureMatrix(plane, toCanvas);
  context.beginPath();
  for (const [r0, c0, r1, c1] of edges) {
    context.moveTo(a! * c0 + c! * r0 + e!, b! * c0 + d! * r0 + f!);
    context.lineTo(a! * c1 + c! * r1 + e!, b! * c1 + d! * r1 + f!);
  }
}

export function pointPath(context: CanvasRenderingContext2D, at: Point2, radius: number): void {
  context.beginPath();
  context.arc(at[0], at[1], radius, 0, 2 * Math.PI);
}

export function linePath(context: CanvasRenderingContext2D, points: readonly Point2[], closed: boolean): void {
  context.beginPath();
  points.forEach(([x, y], n) => (n === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  if (closed) context.closePath();
}

/** Words beside a mark, in a dark box with the voice's line; kept inside the canvas. */
export function drawTag(context: CanvasRenderingContext2D, words: string, at: Point2, voice: Voice, size: Point2): void {
  context.save();
  context.font = "11px 'Inter Variable', system-ui, sans-serif";
  const width = context.measureText(words).width + 12, height = 18;
  const x = Math.max(2, Math.min(at[0] + 12, size[0] - width - 2));
  const y = Math.max(2, Math.min(at[1] - height - 8, size[1] - height - 2));
  context.fillStyle = "rgba(0,0,0,.78)";
  context.fillRect(x, y, width, height);
  context.strokeStyle = COLOURS[voice];
  context.setLineDash(voice === "machine" ? [4, 3] : []);
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  if (voice === "agreed") context.strokeRect(x + 2.5, y + 2.5, width - 5, height - 5);
  context.fillStyle = COLOURS[voice];
  context.textBaseline = "middle";
  context.fillText(words, x + 6, y + height / 2 + 0.5);
  context.restore();
}

/** The place that was clicked: an open cross, so that what lies there stays visible. */
export function drawPlace(context: CanvasRenderingContext2D, [x, y]: Point2): void {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
    context.moveTo(x + dx * 5, y + dy * 5);
    context.lineTo(x + dx * 13, y + dy * 13);
  }
  strokeVoice(context, "human", false);
}

const NICE_MM = [1, 2, 5, 10, 20, 50, 100, 200];

/** The length of a scale bar: the largest round number of millimetres that takes at most a fifth of the width. Pure. */
export function scaleBar(pixelsPerMm: number, width: number): { mm: number; pixels: number } | null {
  const fitting = NICE_MM.filter((mm) => mm * pixelsPerMm <= width / 5 && mm * pixelsPerMm >= 12);
  const mm = fitting[fitting.length - 1];
  return mm === undefined ? null : { mm, pixels: mm * pixelsPerMm };
}

export function drawScale(context: CanvasRenderingContext2D, pixelsPerMm: number, [width, height]: Point2): void {
  const bar = scaleBar(pixelsPerMm, width);
  if (!bar) return;
  const x = (width - bar.pixels) / 2, y = height - 14;
  const label = bar.mm >= 10 ? `${bar.mm / 10} cm` : `${bar.mm} mm`;
  context.save();
  for (const [colour, line] of [["rgba(0,0,0,.8)", 4], ["#c8d0d9", 1.5]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.beginPath();
    context.moveTo(x, y - 4);
    context.lineTo(x, y);
    context.lineTo(x + bar.pixels, y);
    context.lineTo(x + bar.pixels, y - 4);
    context.stroke();
  }
  context.font = "11px 'Inter Variable', system-ui, sans-serif";
  context.textAlign = "center";
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0,0,0,.8)";
  context.strokeText(label, width / 2, y - 6);
  context.fillStyle = "#c8d0d9";
  context.fillText(label, width / 2, y - 6);
  context.restore();
}
