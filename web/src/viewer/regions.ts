/** Findings' regions on pictures: where they are drawn, and how a clicked place becomes one. Pure. */
import type { Finding, Part, Region } from "../api/types";
import { acquiredStack, planeIndex, planePoint, type Plane, type Stack, type Vec3 } from "./geometry";
import type { Place } from "./state";

/** The region of a clicked place: a point in the patient, or on the instance of a film. */
export function placeRegion({ part, point, axis, n }: Place): Region {
  if (part.affine && part.frame_of_reference) {
    return {
      type: "point", frame_of_reference: part.frame_of_reference, instance: null, frame: null,
      points: [[...point]], centre: [...point], diameter_mm: null, segment_id: null, series: null, slice: null,
    };
  }
  const { row, column } = planeIndex(acquiredStack(part).plane(0), point);
  const instance = part.instances[axis === "acquired" ? Math.min(n, part.instances.length - 1) : 0];
  return {
    type: "point", frame_of_reference: null, instance: instance?.uid ?? null, frame: instance?.frame ?? null,
    points: [[row, column]], centre: [row, column], diameter_mm: null, segment_id: null, series: null, slice: null,
  };
}

/** Where a region can be found: a point in a frame of reference, or a picture of a part. */
export type Target =
  | { kind: "point"; point: Vec3; frameOfReference: string }
  | { kind: "picture"; part: Part; n: number; point: Vec3 };

const vector = (values: readonly number[] | null | undefined): Vec3 | null =>
  values?.length === 3 ? [values[0]!, values[1]!, values[2]!] : null;

export function regionTarget(region: Region | null | undefined, parts: readonly Part[]): Target | null {
  if (!region) return null;
  const centre = vector(region.centre);
  if (region.frame_of_reference && centre) return { kind: "point", point: centre, frameOfReference: region.frame_of_reference };
  for (const part of parts) {
    const n = part.instances.findIndex(({ uid, frame }) => uid === region.instance && frame === (region.frame ?? frame));
    if (n < 0) continue;
    const [row, column] = region.centre ?? [0, 0];
    return { kind: "picture", part, n, point: planePoint(acquiredStack(part).plane(n), row!, column!) };
  }
  return null;
}

/** A region's line on one picture of a stack, in the patient's or the film's millimetres; null where it is not there. */
export function regionOnPicture(
  finding: Pick<Finding, "region">, stack: Stack, n: number, plane: Plane,
): { shape: "point" | "line"; points: Vec3[]; radius: number } | null {
  const { region } = finding;
  if (!region || region.type === "mask" && !region.centre) return null;
  if (region.frame_of_reference) {
    const centre = vector(region.centre);
    if (region.frame_of_reference !== stack.part.frame_of_reference || !centre || !stack.part.affine) return null;
    const radius = (region.diameter_mm ?? 0) / 2;
    const off = Math.abs(planeIndex(plane, centre).distance);
    if (off > Math.max(radius, (stack.step ?? 1) / 2 + 1e-3)) return null;
    if (region.type === "point" || region.type === "mask") return { shape: "point", points: [centre], radius };
    return { shape: "line", points: outline(region.type, region.points.map(vector).filter((p) => p !== null), plane), radius };
  }
  const at = stack.part.instances.findIndex(({ uid, frame }) => uid === region.instance && frame === (region.frame ?? frame));
  if (at < 0 || stack.axis !== "acquired" || at !== Math.min(n, stack.part.instances.length - 1)) return null;
  const straight = stack.plane(n);
  const points = (region.points.length ? region.points : [region.centre ?? []]).filter((p) => p.length === 2)
    .map(([row, column]) => planePoint(straight, row!, column!));
  if (points.length === 0) return null;
  if (region.type === "point" || region.type === "mask") return { shape: "point", points: points.slice(0, 1), radius: 0 };
  return { shape: "line", points: outline(region.type, points, straight), radius: 0 };
}

/** The closed line of a box (by two opposite corners, cut by the plane) or of a contour. */
function outline(type: Region["type"], points: readonly Vec3[], plane: Plane): Vec3[] {
  if (type !== "box" || points.length !== 2) return points.map((p) => [...p] as const);
  const a = planeIndex(plane, points[0]!), b = planeIndex(plane, points[1]!);
  return [
    planePoint(plane, a.row, a.column), planePoint(plane, a.row, b.column),
    planePoint(plane, b.row, b.column), planePoint(plane, b.row, a.column),
  ];
}
