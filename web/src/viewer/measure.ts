/** Lengths, areas and values on a picture. Pure. */
import type { PixelArray, Plane, Vec3 } from "./geometry";
import { norm, planeIndex, subtract } from "./geometry";

export const distance = (a: Vec3, b: Vec3): number => norm(subtract(a, b));

export interface EllipseStatistics {
  readonly area: number;
  readonly mean: number;
  readonly deviation: number;
  readonly pixels: number;
}

/**
 * The ellipse whose box has two opposite corners: its area (square of the plane's unit, closed form) and the
 * mean and standard deviation (n - 1) of the pixels whose centres lie in it; NaN where there is none.
 */
export function ellipseStatistics(pixels: PixelArray, plane: Plane, a: Vec3, b: Vec3): EllipseStatistics {
  const p = planeIndex(plane, a), q = planeIndex(plane, b);
  const row = (p.row + q.row) / 2, column = (p.column + q.column) / 2;
  const down = Math.abs(p.row - q.row) / 2, across = Math.abs(p.column - q.column) / 2;
  const area = Math.PI * down * norm(plane.v) * across * norm(plane.u);
  let n = 0, mean = 0, squares = 0;
  for (let r = Math.max(0, Math.ceil(row - down)); r <= Math.min(plane.rows - 1, row + down); r++) {
    for (let c = Math.max(0, Math.ceil(column - across)); c <= Math.min(plane.columns - 1, column + across); c++) {
      if (((r - row) / down) ** 2 + ((c - column) / across) ** 2 > 1) continue;
      const value = pixels[r * plane.columns + c]!;
      const before = value - mean;
      n += 1;
      mean += before / n;
      squares += before * (value - mean);
    }
  }
  return { area, mean: n ? mean : NaN, deviation: n > 1 ? Math.sqrt(squares / (n - 1)) : NaN, pixels: n };
}
