import { describe, expect, it } from "vitest";
import type { Finding, Part } from "../api/types";
import { scaleBar } from "./draw";
import { acquiredStack, cutStack, STRAIGHT } from "./geometry";
import { INFERNO } from "./inferno";
import { distance, ellipseStatistics } from "./measure";
import { directionLetters, opposite } from "./orientation";
import { regionEdges } from "./outline";
import { overlayPicture } from "./overlays";
import { placeRegion, regionOnPicture, regionTarget } from "./regions";

const volume: Part = {
  key: "v", kind: "volume", shape: [3, 4, 5], channels: 1, dtype: "int16", spacing_mm: [5, 1, 1],
  affine: [[0, 0, 1, 0], [0, 1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]], frame_of_reference: "f",
  instances: [{ uid: "a", frame: 1 }, { uid: "b", frame: 1 }, { uid: "c", frame: 1 }],
  times_s: null, window: null, presets: [], unit: "HU", notes: [], frames: "",
};
const film: Part = { ...volume, key: "x", kind: "image", shape: [4, 5], affine: null, frame_of_reference: null, spacing_mm: [0.5, 0.25], instances: [{ uid: "film", frame: 1 }] };
const finding = (region: Partial<NonNullable<Finding["region"]>>): Pick<Finding, "region"> => ({
  region: { type: "point", frame_of_reference: null, instance: null, frame: null, points: [], centre: null, diameter_mm: null, segment_id: null, series: null, slice: null, ...region },
});

describe("orientation letters", () => {
  it("name the axes of LPS", () => {
    expect([[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]].map((d) => directionLetters(d as [number, number, number])))
      .toEqual(["R", "L", "A", "P", "F", "H"]);
  });

  it("grow to three for oblique directions, the strongest first, and turn with them", () => {
    expect(directionLetters([0.8, -0.5, 0.33])).toBe("LAH");
    expect(directionLetters(opposite([0.8, -0.5, 0.33]))).toBe("RPF");
    expect(directionLetters([0.999, 0.04, 0])).toBe("L");
  });
});

describe("outlines", () => {
  it("surround a pixel by its four sides", () => {
    const edges = regionEdges(Uint8Array.from([0, 0, 0, 0, 1, 0, 0, 0, 0]), 3, 3);
    expect(new Set(edges.map(String))).toEqual(new Set([[0.5, 0.5, 0.5, 1.5], [1.5, 0.5, 1.5, 1.5], [0.5, 0.5, 1.5, 0.5], [0.5, 1.5, 1.5, 1.5]].map(String)));
  });

  it("have the length of the border, at the edge of the picture too", () => {
    const length = (edges: ReturnType<typeof regionEdges>) => edges.reduce((sum, [r0, c0, r1, c1]) => sum + Math.abs(r1 - r0) + Math.abs(c1 - c0), 0);
    expect(length(regionEdges(new Uint8Array(12).fill(1), 3, 4))).toBe(14);
    expect(length(regionEdges(Uint8Array.from([1, 0, 0, 1]), 2, 2))).toBe(8);
    expect(regionEdges(new Uint8Array(12), 3, 4)).toEqual([]);
  });
});

describe("overlays", () => {
  const data = Uint8Array.from({ length: 60 }, (_, n) => n);
  it("are the slice itself on the part they belong to, turned with it", () => {
    expect([...overlayPicture(data, volume, acquiredStack(volume), 1, STRAIGHT)!.pixels]).toEqual([...data.subarray(20, 40)]);
    expect(overlayPicture(data, volume, acquiredStack(volume), 1, { quarters: 2, flipped: false })!.pixels[0]).toBe(39);
  });

  it("are cut where the part is cut", () => {
    const coronal = cutStack(volume, "coronal");
    const { pixels, plane } = overlayPicture(data, volume, coronal, 2, STRAIGHT)!;
    // the lowest row of the picture is slice 0, row 2
    expect([...pixels.subarray((plane.rows - 1) * plane.columns)]).toEqual([...data.subarray(10, 15)]);
  });

  it("of one time are on its pictures alone, of no time on all", () => {
    const series: Part = { ...volume, kind: "series", shape: [2, 3, 4, 5], times_s: [0, 0.5] };
    const stack = acquiredStack(series);
    expect([stack.count, stack.slices]).toEqual([6, 3]);
    expect(overlayPicture(data, series, stack, 1, STRAIGHT, 1)).toBeNull();
    expect([...overlayPicture(data, series, stack, 4, STRAIGHT, 1)!.pixels]).toEqual([...data.subarray(20, 40)]);
    expect([...overlayPicture(data, series, stack, 4, STRAIGHT)!.pixels]).toEqual([...data.subarray(20, 40)]);
  });

  it("stay away from other parts", () => {
    expect(overlayPicture(data, volume, acquiredStack(film), 0, STRAIGHT)).toBeNull();
    expect(overlayPicture(data, volume, acquiredStack({ ...volume, key: "w", frame_of_reference: "other" }), 0, STRAIGHT)).toBeNull();
  });

  it("run in inferno from black to pale yellow, brighter with every step", () => {
    const light = (n: number) => 0.2126 * INFERNO[3 * n]! + 0.7152 * INFERNO[3 * n + 1]! + 0.0722 * INFERNO[3 * n + 2]!;
    expect([...INFERNO.subarray(0, 3)]).toEqual([0, 0, 3]);
    expect([...INFERNO.subarray(765)]).toEqual([252, 254, 164]);
    for (let n = 4; n < 256; n += 4) expect(light(n)).toBeGreaterThan(light(n - 4));
  });
});

describe("regions", () => {
  it("of a click are a point in the patient, or a row and column of the film", () => {
    expect(placeRegion({ part: volume, point: [1, 2, 5], axis: "acquired", n: 1 })).toMatchObject({ type: "point", frame_of_reference: "f", points: [[1, 2, 5]] });
    expect(placeRegion({ part: film, point: [0.75, 1, 0], axis: "acquired", n: 0 })).toMatchObject({ instance: "film", frame_of_reference: null, points: [[2, 3]] });
  });

  it("are drawn on the slices they reach", () => {
    const stack = acquiredStack(volume);
    const ball = finding({ frame_of_reference: "f", centre: [2, 2, 5], points: [[2, 2, 5]], diameter_mm: 8 });
    expect(regionOnPicture(ball, stack, 1, stack.plane(1))).toMatchObject({ shape: "point", radius: 4 });
    expect(regionOnPicture(ball, stack, 0, stack.plane(0))).toBeNull();
    expect(regionOnPicture(finding({ frame_of_reference: "f", centre: [2, 2, 5], diameter_mm: 12 }), stack, 0, stack.plane(0))).not.toBeNull();
    expect(regionOnPicture(finding({ frame_of_reference: "g", centre: [2, 2, 5] }), stack, 1, stack.plane(1))).toBeNull();
  });

  it("on an instance are drawn on its picture, a box by its four corners", () => {
    const stack = acquiredStack(film);
    const box = finding({ type: "box", instance: "film", frame: 1, points: [[1, 1], [3, 4]], centre: [2, 2.5] });
    expect(regionOnPicture(box, stack, 0, stack.plane(0))).toMatchObject({ shape: "line", points: [[0.25, 0.5, 0], [1, 0.5, 0], [1, 1.5, 0], [0.25, 1.5, 0]] });
    expect(regionTarget(box.region, [volume, film])).toMatchObject({ kind: "picture", n: 0 });
  });
});

describe("measurements", () => {
  it("of a length are millimetres in the patient", () => {
    expect(distance([0, 0, 0], [3, 4, 12])).toBe(13);
  });

  it("of an ellipse have its closed-form area and the values of the pixels inside", () => {
    const plane = { origin: [0, 0, 0], u: [0.5, 0, 0], v: [0, 0.5, 0], rows: 41, columns: 41 } as const;
    const ramp = Int16Array.from({ length: 41 * 41 }, (_, p) => p % 41);
    const { area, mean, pixels, deviation } = ellipseStatistics(ramp, plane, [5, 5, 0], [15, 15, 0]);
    expect(area).toBeCloseTo(Math.PI * 25, 9);
    expect(mean).toBeCloseTo(20, 9);
    // a disc of radius R has variance R²/4 along an axis
    expect(deviation).toBeCloseTo(5, 1);
    expect(pixels * 0.25).toBeCloseTo(area, -1);
  });

  it("have a scale bar of a round length that fits", () => {
    expect(scaleBar(2, 600)).toEqual({ mm: 50, pixels: 100 });
    expect(scaleBar(0.001, 600)).toBeNull();
  });
});
