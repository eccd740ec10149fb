import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { along, CalibrationPlot, up, type Curve } from "./CalibrationPlot";

const curve: Curve = {
  source: "card",
  data: "validation films",
  date: "2026-05-14",
  cases: 30,
  bins: [
    { said: 0.1, seen: 0.2, low: 0.05, high: 0.5, cases: 10 },
    { said: 0.8, seen: 0.75, low: 0.5, high: 0.9, cases: 20 },
  ],
};

describe("the calibration plot", () => {
  it("puts a calibrated bin on the diagonal, and more seen than said above it", () => {
    const diagonal = (value: number) => up(0) - ((up(0) - up(1)) * (along(value) - along(0))) / (along(1) - along(0));
    expect(up(0.3)).toBeCloseTo(diagonal(0.3));
    expect(up(0.4)).toBeLessThan(diagonal(0.3)); // the picture's rows run down
  });

  it("draws every bin with its interval and the threshold, and says the numbers in words", () => {
    const drawn = renderToStaticMarkup(createElement(CalibrationPlot, { curve, thresholds: [0.43] }));
    expect(drawn.match(/<circle/g)).toHaveLength(2);
    expect(drawn.match(/class="interval"/g)).toHaveLength(2);
    expect(drawn).toContain(`x1="${along(0.43)}"`);
    expect(drawn).toContain(`points="${along(0.1)},${up(0.2)} ${along(0.8)},${up(0.75)}"`);
    expect(drawn).toContain("said 0.10, seen 0.20, 10 cases");
    expect(drawn).toContain("validation films");
    expect(drawn).toContain("30 cases");
  });
});
