import { describe, expect, it } from "vitest";
import type { Part } from "../api/types";
import {
  acquiredAxis, acquiredStack, affineOf, cutStack, flippedAcross, flippedDown, nearestPlane, planeIndex, planePoint, rotated,
  STRAIGHT, toIndex, toPatient, turnedPixels, turnedPlane, type Plane, type Turn,
} from "./geometry";

/** A part with the fields that geometry reads; the steps are the columns of its affine. */
function part(shape: number[], k: number[], j: number[], i: number[], origin: number[], over: Partial<Part> = {}): Part {
  const affine = [0, 1, 2].map((n) => [k[n]!, j[n]!, i[n]!, origin[n]!]).concat([[0, 0, 0, 1]]);
  return {
    key: "p", kind: "volume", shape, channels: 1, dtype: "int16", spacing_mm: [1, 1, 1], affine, frame_of_reference: "f", instances: [],
    times_s: null, window: null, presets: [], unit: "HU", notes: [], frames: "", ...over,
  };
}
const axial = part([4, 5, 6], [0, 0, 5], [0, 0.7, 0], [0.7, 0, 0], [-100, -50, 20]);
const plane: Plane = { origin: [0, 0, 0], u: [2, 0, 0], v: [0, 3, 0], rows: 2, columns: 3 };
const TURNS: Turn[] = [0, 1, 2, 3].flatMap((quarters) => [false, true].map((flipped) => ({ quarters, flipped }) as Turn));

describe("affine maps", () => {
  it("follow DICOM's equation C.7.6.2.1-1 for a plain axial CT", () => {
    const a = affineOf(axial.affine!);
    expect(toPatient(a, 2, 1, 3)).toEqual([-100 + 3 * 0.7, -50 + 0.7, 30]);
  });

  it("are undone by their inverse, sheared and oblique ones too", () => {
    const a = affineOf(part([1, 1, 1], [0.3, -1.2, 4], [0.1, 0.6, 0.2], [0.7, -0.1, 0.05], [7, 8, 9]).affine!);
    const back = toIndex(a, toPatient(a, 3, 4, 5));
    [3, 4, 5].forEach((value, n) => expect(back[n]).toBeCloseTo(value, 9));
  });
});

describe("turned pictures", () => {
  it("turn clockwise and flip as the words say", () => {
    const pixels = Uint8Array.from([1, 2, 3, 4, 5, 6]); // 1 2 3 / 4 5 6
    expect([...turnedPixels(pixels, plane, { quarters: 1, flipped: false })]).toEqual([4, 1, 5, 2, 6, 3]);
    expect([...turnedPixels(pixels, plane, { quarters: 0, flipped: true })]).toEqual([3, 2, 1, 6, 5, 4]);
    expect([...turnedPixels(pixels, plane, flippedDown(STRAIGHT))]).toEqual([4, 5, 6, 1, 2, 3]);
  });

  it.each(TURNS)("keep every pixel at its place in the patient: %o", (turn) => {
    const pixels = Uint8Array.from([1, 2, 3, 4, 5, 6]);
    const turned = turnedPlane(plane, turn), values = turnedPixels(pixels, plane, turn);
    for (let r = 0; r < turned.rows; r++) {
      for (let c = 0; c < turned.columns; c++) {
        const { row, column } = planeIndex(plane, planePoint(turned, r, c));
        expect(values[r * turned.columns + c]).toBe(pixels[Math.round(row) * plane.columns + Math.round(column)]);
      }
    }
  });

  it("change what is seen, whatever was turned before", () => {
    const pixels = Uint8Array.from([1, 2, 3, 4, 5, 6]);
    for (const turn of TURNS) {
      const seen = turnedPlane(plane, turn), now = turnedPixels(pixels, plane, turn);
      expect([...turnedPixels(pixels, plane, flippedAcross(turn))]).toEqual([...turnedPixels(now, seen, { quarters: 0, flipped: true })]);
      expect([...turnedPixels(pixels, plane, rotated(turn, 1))]).toEqual([...turnedPixels(now, seen, { quarters: 1, flipped: false })]);
      expect([...turnedPixels(pixels, plane, rotated(turn, -1))]).toEqual([...turnedPixels(now, seen, { quarters: 3, flipped: false })]);
    }
  });

  it("keep the channels of a pixel together", () => {
    const pixels = Uint8Array.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6]);
    expect([...turnedPixels(pixels, plane, { quarters: 2, flipped: false }, 3)].filter((_, n) => n % 3 === 0)).toEqual([6, 5, 4, 3, 2, 1]);
  });
});

describe("stacks", () => {
  it("lie where the slices lie", () => {
    const stack = acquiredStack(axial);
    expect([stack.count, stack.step]).toEqual([4, 5]);
    expect(stack.plane(3).origin).toEqual([-100, -50, 35]);
    expect(acquiredAxis(axial)).toBe("axial");
  });

  it("find the slice of a point and its distance", () => {
    expect(nearestPlane(acquiredStack(axial), [0, 0, 31])).toEqual({ n: 2, distance: 1 });
    expect(nearestPlane(acquiredStack(axial), [0, 0, 900]).n).toBe(3);
  });

  it("step along the normal in a gantry-tilted stack", () => {
    const angle = (18.5 * Math.PI) / 180;
    // slices are 5 mm apart along the table, tilted about x
    const tilted = part([10, 8, 8], [0, 0, 5], [0, Math.cos(angle), -Math.sin(angle)], [1, 0, 0], [0, 0, 0]);
    const stack = acquiredStack(tilted);
    expect(stack.step).toBeCloseTo(5 * Math.cos(angle), 9);
    const a = affineOf(tilted.affine!);
    expect(nearestPlane(stack, toPatient(a, 6, 3, 3)).n).toBe(6);
  });

  it("show the coronal plane from the front with the head up, the sagittal one with the front on the left", () => {
    const coronal = cutStack(axial, "coronal").plane(0), sagittal = cutStack(axial, "sagittal").plane(0);
    expect(coronal.u[0]).toBeGreaterThan(0);
    expect(coronal.v[2]).toBeLessThan(0);
    expect(sagittal.u[1]).toBeGreaterThan(0);
    expect(sagittal.v[2]).toBeLessThan(0);
  });

  it("cut all of a volume, one plane a voxel", () => {
    expect(cutStack(axial, "coronal").count).toBe(5);
    expect(cutStack(axial, "sagittal").count).toBe(6);
    const first = cutStack(axial, "coronal").plane(0);
    // the upper left pixel is the voxel of the last slice, first column
    expect(first.origin[0]).toBeCloseTo(-100);
    expect(first.origin[2]).toBeCloseTo(35);
  });
});
