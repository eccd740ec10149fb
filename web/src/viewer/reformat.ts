/** Values along a plane through a volume. Pure. */
import type { Affine, PixelArray, Plane } from "./geometry";
import { dot, inverseRows, subtract } from "./geometry";

/**
 * The volume's values at the pixels of a plane, linear between voxels.
 *
 * `slices` holds one array a slice, missing ones read as `outside`; so does everything beyond the grid
 * by more than half a voxel. The result has the type of the slices.
 */
export function cut(
  slices: readonly (PixelArray | undefined)[], rows: number, columns: number, affine: Affine, plane: Plane,
  outside: number, make: (length: number) => PixelArray,
): PixelArray {
  const out = make(plane.rows * plane.columns);
  const [toK, toJ, toI] = inverseRows(affine);
  const from = subtract(plane.origin, affine.origin);
  const k0 = dot(toK, from), j0 = dot(toJ, from), i0 = dot(toI, from);
  const ku = dot(toK, plane.u), ju = dot(toJ, plane.u), iu = dot(toI, plane.u);
  const kv = dot(toK, plane.v), jv = dot(toJ, plane.v), iv = dot(toI, plane.v);
  const lastK = slices.length - 1, lastJ = rows - 1, lastI = columns - 1;
  const whole = !(out instanceof Float32Array);
  let at = 0;
  for (let r = 0; r < plane.rows; r++) {
    let k = k0 + r * kv, j = j0 + r * jv, i = i0 + r * iv;
    for (let c = 0; c < plane.columns; c++, k += ku, j += ju, i += iu) {
      if (!(k >= -0.5 && k <= lastK + 0.5 && j >= -0.5 && j <= lastJ + 0.5 && i >= -0.5 && i <= lastI + 0.5)) {
        out[at++] = outside;
        continue;
      }
      const kk = k < 0 ? 0 : k > lastK ? lastK : k;
      const jj = j < 0 ? 0 : j > lastJ ? lastJ : j;
      const ii = i < 0 ? 0 : i > lastI ? lastI : i;
      const ka = kk | 0, ja = jj | 0, ia = ii | 0;
      const fk = kk - ka, fj = jj - ja, fi = ii - ia;
      const a = slices[ka], b = fk > 0 ? slices[ka + 1] : a;
      if (!a || !b) {
        out[at++] = outside;
        continue;
      }
      const p = ja * columns + ia;
      const right = fi > 0 ? 1 : 0, down = fj > 0 ? columns : 0;
      const upper = (s: PixelArray, q: number): number => s[q]! + fi * (s[q + right]! - s[q]!);
      const va = upper(a, p) + fj * (upper(a, p + down) - upper(a, p));
      const vb = fk > 0 ? upper(b, p) + fj * (upper(b, p + down) - upper(b, p)) : va;
      const value = va + fk * (vb - va);
      out[at++] = whole ? Math.round(value) : value;
    }
  }
  return out;
}

/** Nearest values of an 8-bit volume (k, j, i order) at the pixels of a plane; 0 outside. */
export function cutNearest(
  data: Uint8Array, shape: readonly [number, number, number], affine: Affine, plane: Plane,
): Uint8Array {
  const out = new Uint8Array(plane.rows * plane.columns);
  const [toK, toJ, toI] = inverseRows(affine);
  const from = subtract(plane.origin, affine.origin);
  const [slices, rows, columns] = shape;
  // half a voxel is added so that cutting off the fraction rounds to the nearest
  const k0 = dot(toK, from) + 0.5, j0 = dot(toJ, from) + 0.5, i0 = dot(toI, from) + 0.5;
  const ku = dot(toK, plane.u), ju = dot(toJ, plane.u), iu = dot(toI, plane.u);
  const kv = dot(toK, plane.v), jv = dot(toJ, plane.v), iv = dot(toI, plane.v);
  let at = 0;
  for (let r = 0; r < plane.rows; r++) {
    for (let c = 0; c < plane.columns; c++, at++) {
      const k = Math.floor(k0 + r * kv + c * ku + 1e-6);
      const j = Math.floor(j0 + r * jv + c * ju + 1e-6);
      const i = Math.floor(i0 + r * iv + c * iu + 1e-6);
      if (k >= 0 && k < slices && j >= 0 && j < rows && i >= 0 && i < columns) {
        out[at] = data[(k * rows + j) * columns + i]!;
      }
    }
  }
  return out;
}
