import { describe, expect, it } from "vitest";
import { planePoint, toIndex, toPatient, type Affine, type Plane } from "./geometry";
import { cut, cutNearest } from "./reformat";

const SHAPE = [4, 5, 6] as const;
const oblique: Affine = { k: [0.4, -0.9, 3], j: [0.1, 0.8, 0.2], i: [0.9, -0.1, 0.1], origin: [3, -7, 11] };
/** A ramp is reproduced exactly by linear interpolation. */
const ramp = (k: number, j: number, i: number): number => 5 * k - 3 * j + 2 * i + 40;
const slices = Array.from({ length: SHAPE[0] }, (_, k) =>
  Float32Array.from({ length: SHAPE[1] * SHAPE[2] }, (_, p) => ramp(k, Math.floor(p / SHAPE[2]), p % SHAPE[2])));
const make = (length: number) => new Float32Array(length);

describe("cuts", () => {
  it("reproduce a ramp on any plane through an oblique, sheared volume", () => {
    const centre = toPatient(oblique, 1.5, 2, 2.5);
    const plane: Plane = { origin: centre, u: [0.3, 0.1, 0.2], v: [-0.1, 0.25, 0.3], rows: 4, columns: 4 };
    const values = cut(slices, SHAPE[1], SHAPE[2], oblique, plane, -1, make);
    for (let r = 0; r < 4; r++) {
      for (let c = 0; c < 4; c++) {
        const [k, j, i] = toIndex(oblique, planePoint(plane, r, c));
        expect(values[r * 4 + c]).toBeCloseTo(ramp(k, j, i), 3);
      }
    }
  });

  it("say nothing beyond the grid and where slices are missing", () => {
    const plane: Plane = { origin: toPatient(oblique, -2, 0, 0), u: oblique.k, v: oblique.j, rows: 1, columns: 4 };
    expect([...cut(slices, SHAPE[1], SHAPE[2], oblique, plane, -99, make)].map(Math.round)).toEqual([-99, -99, ramp(0, 0, 0), ramp(1, 0, 0)]);
    const holes = [slices[0], undefined, slices[2], slices[3]];
    const along: Plane = { ...plane, origin: toPatient(oblique, 0, 0, 0) };
    expect([...cut(holes, SHAPE[1], SHAPE[2], oblique, along, -99, make)].map(Math.round)).toEqual([ramp(0, 0, 0), -99, ramp(2, 0, 0), ramp(3, 0, 0)]);
  });

  it("take the nearest label, whole planes of the grid unchanged", () => {
    const data = Uint8Array.from({ length: 4 * 5 * 6 }, (_, n) => n % 251);
    const own: Plane = { origin: toPatient(oblique, 2, 0, 0), u: oblique.i, v: oblique.j, rows: 5, columns: 6 };
    expect([...cutNearest(data, SHAPE, oblique, own)]).toEqual([...data.subarray(60, 90)]);
    const beside: Plane = { ...own, origin: toPatient(oblique, 2.4, 0.4, -0.4) };
    expect([...cutNearest(data, SHAPE, oblique, beside)]).toEqual([...data.subarray(60, 90)]);
    const outside: Plane = { ...own, origin: toPatient(oblique, 3.6, 0, 0) };
    expect(Math.max(...cutNearest(data, SHAPE, oblique, outside))).toBe(0);
  });
});
