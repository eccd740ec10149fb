import { describe, expect, it } from "vitest";
import type { Finding, TextFinding, TextStructure } from "../api/types";
import { areaOf, cut, inputValue, inputWords, seenIn, sentences, spans } from "./reportText";

const cue = (text: string, start: number, role = "finding") => ({ text, start, end: start + [...text].length, role });
const stated = (...cues: ReturnType<typeof cue>[]): TextFinding => ({
  finding: "x", code: null, status: "present", subject: "patient", laterality: null, location: null, severity: null, change: null,
  certainty: null, section: "body", sentence: 0, start: cues[0]!.start, end: cues[0]!.end, cues,
});

describe("words that were understood", () => {
  it("are marked where they stand, and nothing of the text is lost", () => {
    const text = "No effusion or pneumothorax.";
    const no = cue("No", 0, "negated");
    const found = spans(text, [stated(cue("effusion", 3), no), stated(cue("pneumothorax", 15), no)]);
    expect(found.map((span) => span.text).join("")).toBe(text);
    expect(found.filter((span) => span.findings.length > 0)).toEqual([
      { text: "No", findings: [0, 1] }, { text: "effusion", findings: [0] }, { text: "pneumothorax", findings: [1] },
    ]);
  });

  it("are counted in letters, not in halves of them", () => {
    const text = "🫁 Nodül";
    expect(cut(text, 2, 7)).toBe("Nodül");
    expect(spans(text, [stated(cue("Nodül", 2))])).toEqual([{ text: "🫁 ", findings: [] }, { text: "Nodül", findings: [0] }]);
  });

  it("include a size that measures a finding", () => {
    const size = { values_mm: [6], prior_mm: null, series: null, image: null, of: "nodule", finding: 0, sentence: 0, cues: [cue("6 mm", 0, "size")] };
    expect(spans("6 mm nodule", [stated(cue("nodule", 5))], [size]).filter(({ findings }) => findings.length > 0).map(({ text }) => text)).toEqual(["6 mm", "nodule"]);
  });

  it("may be none", () => {
    expect(spans("Hello.", [])).toEqual([{ text: "Hello.", findings: [] }]);
    expect(spans("", [])).toEqual([]);
  });
});

describe("values of a guideline", () => {
  it("are numbers, truth values, words, or several of them", () => {
    expect([" 6.5 ", "true", "false", "solid", "M1, M2", ""].map(inputValue)).toEqual([6.5, true, false, "solid", ["M1", "M2"], undefined]);
    expect([6.5, true, ["M1", "M2"], null, undefined].map(inputWords)).toEqual(["6.5", "true", "M1, M2", "", ""]);
  });
});

describe("a reader's findings", () => {
  const concept = { value: "lung-nodule", scheme: "99COREAD", meaning: "Lung nodule" };
  const own: Finding = {
    id: "a", concept, status: "present", probability: null, region: null, change: null, comment: "",
    origin: { kind: "reader", id: "r", role: "reader", name: null, version: null, mode: null, evidence_level: null },
    place: { value: "45653009", scheme: "SCT", meaning: "Upper lobe of lung" }, laterality: { value: "7771000", scheme: "SCT", meaning: "Left" },
    measurements: [{ concept, value: 6, unit: "mm", flags: [] }],
  };

  it("are said in sentences; what a model says or is uncertain is not", () => {
    const theirs: Finding = { ...own, id: "m", origin: { ...own.origin!, kind: "model", name: "m", version: "1" } };
    const absent: Finding = { ...own, id: "b", status: "absent", place: null, laterality: null, measurements: [] };
    expect(sentences([own, theirs, absent, { ...own, id: "c", status: "uncertain" }])).toBe("6.0 mm lung nodule in the left upper lobe.\nNo lung nodule.");
  });
});

describe("the differential", () => {
  const text = (name: string, findings: Record<string, boolean>) => ({ areas: [{ name, findings }] }) as unknown as TextStructure;

  it("is filled in from findings and text; what they disagree on is left to the reader", () => {
    const texts = [text("lung_nodule", { upper_lobe: true, fat: true }), text("lung_nodule", { upper_lobe: false }), undefined];
    expect(seenIn("lung_nodule", texts)).toEqual({ fat: true });
    expect(seenIn("myocardium", texts)).toEqual({});
  });

  it("starts with the area that the text is about", () => {
    const areas = [{ area: "lung_nodule", title: "Lung nodule", settings: [], words: {}, findings: [] }];
    expect(areaOf(areas, [undefined, text("lung_nodule", {})])).toBe("lung_nodule");
    expect(areaOf(areas, [text("breast_lesion", {})])).toBe("");
  });
});
