/** Where pixels lie: planes in patient millimetres (LPS), stacks of planes, turns and flips. Pure. */
import type { Part } from "../api/types";

export type Vec3 = readonly [number, number, number];
export type Point2 = readonly [number, number];

export const add = (a: Vec3, b: Vec3): Vec3 => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const subtract = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const scale = (a: Vec3, s: number): Vec3 => [a[0] * s, a[1] * s, a[2] * s];
export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const norm = (a: Vec3): number => Math.hypot(a[0], a[1], a[2]);
export const unit = (a: Vec3): Vec3 => scale(a, 1 / norm(a));
export const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

/**
 * A picture in space: pixel (row r, column c) has its centre at `origin + c * u + r * v`.
 * Planes of films without a patient frame lie in a frame of their own, in millimetres or in pixels.
 */
export interface Plane {
  readonly origin: Vec3;
  readonly u: Vec3;
  readonly v: Vec3;
  readonly rows: number;
  readonly columns: number;
}

/** An affine map from (slice k, row j, column i) to LPS millimetres, by its four columns. */
export interface Affine {
  readonly k: Vec3;
  readonly j: Vec3;
  readonly i: Vec3;
  readonly origin: Vec3;
}

export function affineOf(rows: readonly (readonly number[])[]): Affine {
  const column = (n: number): Vec3 => [rows[0]![n]!, rows[1]![n]!, rows[2]![n]!];
  return { k: column(0), j: column(1), i: column(2), origin: column(3) };
}

/** The point at (k, j, i), which may lie between voxels. */
export function toPatient(a: Affine, k: number, j: number, i: number): Vec3 {
  return add(a.origin, add(scale(a.k, k), add(scale(a.j, j), scale(a.i, i))));
}

/** The rows of the inverse: index n is `dot(rows[n], point - origin)` for n of k, j, i. */
export function inverseRows(a: Affine): readonly [Vec3, Vec3, Vec3] {
  const determinant = dot(a.k, cross(a.j, a.i));
  return [
    scale(cross(a.j, a.i), 1 / determinant),
    scale(cross(a.i, a.k), 1 / determinant),
    scale(cross(a.k, a.j), 1 / determinant),
  ];
}

export function toIndex(a: Affine, point: Vec3): Vec3 {
  const [k, j, i] = inverseRows(a);
  const from = subtract(point, a.origin);
  return [dot(k, from), dot(j, from), dot(i, from)];
}

export const planePoint = (p: Plane, row: number, column: number): Vec3 =>
  add(p.origin, add(scale(p.u, column), scale(p.v, row)));

export const planeNormal = (p: Plane): Vec3 => unit(cross(p.u, p.v));

/** Row and column of a point's foot on the plane, and its distance along the normal in millimetres. */
export function planeIndex(p: Plane, point: Vec3): { row: number; column: number; distance: number } {
  const from = subtract(point, p.origin);
  // u and v need not be perpendicular: solve the two normal equations
  const uu = dot(p.u, p.u), uv = dot(p.u, p.v), vv = dot(p.v, p.v);
  const fu = dot(from, p.u), fv = dot(from, p.v), d = uu * vv - uv * uv;
  return {
    column: (fu * vv - fv * uv) / d,
    row: (fv * uu - fu * uv) / d,
    distance: dot(from, planeNormal(p)),
  };
}

/** How a picture is turned: quarter turns clockwise after an optional left-right flip; 8 in all. */
export interface Turn {
  readonly quarters: 0 | 1 | 2 | 3;
  readonly flipped: boolean;
}

export const STRAIGHT: Turn = { quarters: 0, flipped: false };
const quarter = (n: number): Turn["quarters"] => (((n % 4) + 4) % 4) as Turn["quarters"];

export const rotated = (t: Turn, by: 1 | -1): Turn => ({ ...t, quarters: quarter(t.quarters + by) });
// a flip of what is seen now: the turn before it is undone the other way round
export const flippedAcross = (t: Turn): Turn => ({ quarters: quarter(-t.quarters), flipped: !t.flipped });
export const flippedDown = (t: Turn): Turn => ({ quarters: quarter(2 - t.quarters), flipped: !t.flipped });

/** The plane of the turned picture: the same points in another order of pixels. */
export function turnedPlane(p: Plane, turn: Turn): Plane {
  let { origin, u, v, rows, columns } = p;
  if (turn.flipped) [origin, u] = [add(origin, scale(u, columns - 1)), scale(u, -1)];
  for (let n = 0; n < turn.quarters; n++) {
    // clockwise: the old lower left corner comes to the upper left
    [origin, u, v] = [add(origin, scale(v, rows - 1)), scale(v, -1), u];
    [rows, columns] = [columns, rows];
  }
  return { origin, u, v, rows, columns };
}

export type PixelArray = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array;

/** The pixels of a picture in the order of `turnedPlane`; the same array where nothing is turned. */
export function turnedPixels<T extends PixelArray>(pixels: T, plane: Plane, turn: Turn, channels = 1): T {
  if (turn.quarters === 0 && !turn.flipped) return pixels;
  const { rows, columns } = plane;
  const turned = turnedPlane({ origin: [0, 0, 0], u: [1, 0, 0], v: [0, 1, 0], rows, columns }, turn);
  const out = new (pixels.constructor as new (n: number) => T)(pixels.length);
  const [c0, r0] = turned.origin, [cu, ru] = turned.u, [cv, rv] = turned.v;
  let at = 0;
  for (let r = 0; r < turned.rows; r++) {
    for (let c = 0; c < turned.columns; c++) {
      const from = ((r0 + c * ru + r * rv) * columns + c0 + c * cu + r * cv) * channels;
      for (let n = 0; n < channels; n++) out[at++] = pixels[from + n]!;
    }
  }
  return out;
}

export type Axis = "acquired" | "axial" | "coronal" | "sagittal";

/** A pile of parallel planes of one part: as acquired, or cut through the volume along the patient's axes. */
export interface Stack {
  readonly id: string;
  readonly part: Part;
  readonly axis: Axis;
  readonly count: number;
  /** Pictures at one time; a series in time has them again at each of its times. */
  readonly slices: number;
  /** Millimetres from plane to plane along the normal; null without a patient frame. */
  readonly step: number | null;
  plane(n: number): Plane;
}

/** Whether a part can be cut along other planes than its own. */
export const isVolume = (part: Part): boolean =>
  part.kind === "volume" && part.affine !== null && part.shape[0]! > 2 && part.channels === 1;

/** The pictures of a part: slices or frames, of a series in time all slices at each time. */
export const pictureCount = (part: Part): number => part.shape.slice(0, -2).reduce((a, b) => a * b, 1);

/** Which time a picture of a stack belongs to, from 0. */
export const timeOf = (stack: Stack, n: number): number => Math.floor(n / stack.slices);

/** The picture of a slice at the time of another picture; the slice nearest to it that is there. */
export const atSlice = (stack: Stack, n: number, slice: number): number =>
  timeOf(stack, n) * stack.slices + Math.min(Math.max(slice, 0), stack.slices - 1);

/** The planes of a part as they were acquired. */
export function acquiredStack(part: Part): Stack {
  const [rows, columns] = [part.shape[part.shape.length - 2]!, part.shape[part.shape.length - 1]!];
  const count = pictureCount(part);
  const slices = part.kind === "series" ? part.shape[1]! : count;
  if (part.affine) {
    const a = affineOf(part.affine);
    const moves = part.kind === "volume" || part.kind === "series";
    const step = moves ? Math.abs(dot(a.k, unit(cross(a.i, a.j)))) : null;
    return {
      id: `${part.key}/acquired`, part, axis: "acquired", count, slices, step,
      plane: (n) => ({ origin: moves ? toPatient(a, n % slices, 0, 0) : a.origin, u: a.i, v: a.j, rows, columns }),
    };
  }
  const [down, across] = part.spacing_mm ? part.spacing_mm.slice(-2) : [1, 1];
  return {
    id: `${part.key}/acquired`, part, axis: "acquired", count, slices, step: null,
    plane: () => ({ origin: [0, 0, 0], u: [across!, 0, 0], v: [0, down!, 0], rows, columns }),
  };
}

// right and down on the screen, as radiologists look: from the feet, from the front, from the left
const VIEWS: Record<Exclude<Axis, "acquired">, { u: Vec3; v: Vec3 }> = {
  axial: { u: [1, 0, 0], v: [0, 1, 0] },
  coronal: { u: [1, 0, 0], v: [0, 0, -1] },
  sagittal: { u: [0, 1, 0], v: [0, 0, -1] },
};

/** The patient plane that a part was acquired in, the nearest one for an oblique part. */
export function acquiredAxis(part: Part): Exclude<Axis, "acquired"> {
  const a = affineOf(part.affine!);
  const n = unit(cross(a.i, a.j)).map(Math.abs) as [number, number, number];
  return n[2] >= n[0] && n[2] >= n[1] ? "axial" : n[1] >= n[0] ? "coronal" : "sagittal";
}

/** The patient plane of a stack, for its name; null without a patient frame. */
export const stackAxis = ({ axis, part }: Stack): Exclude<Axis, "acquired"> | null =>
  axis !== "acquired" ? axis : part.affine ? acquiredAxis(part) : null;

/** Planes along a patient axis through a volume: square pixels of its smallest spacing, covering all of it. */
export function cutStack(part: Part, axis: Exclude<Axis, "acquired">): Stack {
  const a = affineOf(part.affine!);
  const { u, v } = VIEWS[axis];
  const w = cross(u, v);
  const [slices, rows, columns] = part.shape as [number, number, number];
  const spacing = Math.min(norm(a.k), norm(a.j), norm(a.i));
  const range = (direction: Vec3): [number, number] => {
    const at = [0, slices - 1].flatMap((k) =>
      [0, rows - 1].flatMap((j) => [0, columns - 1].map((i) => dot(toPatient(a, k, j, i), direction))),
    );
    return [Math.min(...at), Math.max(...at)];
  };
  const [u0, u1] = range(u), [v0, v1] = range(v), [w0, w1] = range(w);
  // from plane to plane as far as the voxels that lie along this axis
  const along = [a.k, a.j, a.i].reduce((best, c) => (Math.abs(dot(unit(c), w)) > Math.abs(dot(unit(best), w)) ? c : best));
  const step = Math.abs(dot(along, w));
  const count = Math.round((w1 - w0) / step) + 1;
  const size = (low: number, high: number): number => Math.max(1, Math.round((high - low) / spacing) + 1);
  const base = add(scale(u, u0), scale(v, v0));
  return {
    id: `${part.key}/${axis}`, part, axis, count, slices: count, step,
    plane: (n) => ({
      origin: add(base, scale(w, w0 + n * step)), u: scale(u, spacing), v: scale(v, spacing),
      rows: size(v0, v1), columns: size(u0, u1),
    }),
  };
}

/** The plane of a stack (at its first time) nearest to a point, and how far the point is from it. */
export function nearestPlane(stack: Stack, point: Vec3): { n: number; distance: number } {
  if (stack.step === null) return { n: 0, distance: Math.abs(planeIndex(stack.plane(0), point).distance) };
  const first = stack.plane(0);
  const n = Math.round(planeIndex(first, point).distance / signedStep(stack, first));
  const clamped = Math.min(Math.max(n, 0), stack.slices - 1);
  return { n: clamped, distance: Math.abs(planeIndex(stack.plane(clamped), point).distance) };
}

function signedStep(stack: Stack, first: Plane): number {
  if (stack.slices < 2) return 1;
  return dot(subtract(stack.plane(1).origin, first.origin), planeNormal(first));
}
