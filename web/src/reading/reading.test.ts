import { describe, expect, it } from "vitest";
import type { Comparison, Finding, Part, VocabularyEntry } from "../api/types";
import { makeText } from "../i18n/text";
import { presetsOf } from "../viewer/presets";
import { startViewer, viewer, type ViewerState } from "../viewer/state";
import { draft, EMPTY_DRAFT } from "./draft";
import { findingTitle, listOrder, neighbour, newFinding, ofHundred, OTHER, searchVocabulary } from "./findings";
import { marksOf, outlinesOf } from "./marks";
import { thumbnail } from "./SeriesStrip";

const reader = { id: "r", role: "reader" };
const concept = (value: string, meaning: string) => ({ value, scheme: "99COREAD", meaning });
const nodule = concept("lung-nodule", "Lung nodule");
const entry = (value: string, meaning: string, words = meaning): VocabularyEntry => ({ concept: concept(value, meaning), parent: null, words, quick_no: false, modalities: [] });
const vocabulary = [entry("finding", "Abnormality"), entry("lung-nodule", "Lung nodule", "Akciğer nodülü"), entry("pleural-effusion", "Pleural effusion", "Plevral efüzyon"), entry("lung-mass", "Lung mass", "Akciğer kitlesi")];
const own = (id: string, status: Finding["status"] = "present"): Finding => newFinding(id, reader, nodule, status, null);
const theirs = (id: string): Finding => ({ ...own(id), origin: { kind: "model", name: "m", version: "1", id: null, role: null, mode: null, evidence_level: 2 } });

describe("words typed for a finding", () => {
  it("find the vocabulary's concepts in both languages, the best first", () => {
    expect(searchVocabulary("nodul", vocabulary).found[0]!.concept).toEqual(nodule);
    expect(searchVocabulary("lung", vocabulary).found).toHaveLength(2);
    expect(searchVocabulary("EFÜZYON", vocabulary).found[0]!.concept.value).toBe("pleural-effusion");
    expect(searchVocabulary("xyz", vocabulary).found).toEqual([]);
  });

  it("say that it is absent with no or yok", () => {
    expect(searchVocabulary("no effusion", vocabulary)).toMatchObject({ absent: true, found: [{ concept: { value: "pleural-effusion" } }] });
    expect(searchVocabulary("efüzyon yok", vocabulary)).toMatchObject({ absent: true });
    expect(searchVocabulary("nodule", vocabulary).absent).toBe(false);
  });
});

describe("the draft", () => {
  it("can be undone and done again", () => {
    const one = draft(EMPTY_DRAFT, { do: "put", finding: own("a") });
    const two = draft(one, { do: "put", finding: own("b") });
    const back = draft(two, { do: "undo" });
    expect(back.findings).toEqual(one.findings);
    expect(draft(back, { do: "redo" }).findings).toEqual(two.findings);
    expect(draft(draft(back, { do: "remove", id: "a" }), { do: "redo" }).findings).toEqual([]);
  });

  it("replaces a finding where it stands and ignores what it does not know", () => {
    const two = [own("a"), own("b")].reduce((state, finding) => draft(state, { do: "put", finding }), EMPTY_DRAFT);
    expect(draft(two, { do: "put", finding: own("a", "uncertain") }).findings.map(({ id, status }) => [id, status])).toEqual([["a", "uncertain"], ["b", "present"]]);
    expect(draft(two, { do: "remove", id: "c" })).toBe(two);
    expect(draft(EMPTY_DRAFT, { do: "undo" })).toBe(EMPTY_DRAFT);
  });
});

describe("findings", () => {
  it("are named by what, where and side", () => {
    const text = makeText("en", new Map());
    const left = { ...own("a"), laterality: { value: "7771000", scheme: "SCT", meaning: "Left" }, place: { value: "90572001", scheme: "SCT", meaning: "Lower lobe of lung" } };
    expect(findingTitle(text, left)).toBe("Lung nodule, lower lobe, left");
    expect(findingTitle(text, own("a", "absent"))).toBe("No lung nodule");
    const turkish = makeText("tr", new Map([["99COREAD/lung-nodule", "İç nodül"]]));
    expect(findingTitle(turkish, own("a", "absent"))).toBe("İç nodül yok");
  });

  it("that are absent have no place", () => {
    const part = { affine: null, frame_of_reference: null, shape: [4, 4], spacing_mm: null, instances: [{ uid: "i", frame: 1 }], key: "k", kind: "image" } as unknown as Part;
    const place = { point: [1, 1, 0] as const, part, axis: "acquired" as const, n: 0 };
    expect(newFinding("x", reader, OTHER, "absent", place).region).toBeNull();
    expect(newFinding("x", reader, OTHER, "present", place).region).not.toBeNull();
  });

  it("come one after the other, round at the ends", () => {
    expect(neighbour(["a", "b"], null, 1)).toBe("a");
    expect(neighbour(["a", "b"], "b", 1)).toBe("a");
    expect(neighbour(["a", "b"], "a", -1)).toBe("b");
    expect(neighbour([], "a", 1)).toBeNull();
  });

  it("are counted out of a hundred only where the probability is calibrated", () => {
    const p = { value: 0.64, low: null, high: null, level: null, threshold: 0.3 };
    expect(ofHundred({ ...p, calibrated: true })).toBe(64);
    expect(ofHundred({ ...p, calibrated: false })).toBeNull();
  });
});

const comparison = {
  contradicted: [{ reader: "no", model: "m1" }], model_only: ["m2"], reader_only: ["a"], agreed: [{ reader: "b", model: "m3" }],
  findings: { no: own("no", "absent"), a: own("a"), b: own("b"), m1: theirs("m1"), m2: theirs("m2"), m3: theirs("m3") },
  segments: [{ id: "s", finding: "m3" }, { id: "organ", finding: null }],
} as unknown as Comparison;

describe("marks", () => {
  const mine = [own("a"), own("b")];
  it("show nothing of the machine before the comparison, nor while it is switched off", () => {
    expect(marksOf(mine, null, true).map(({ voice }) => voice)).toEqual(["human", "human"]);
    expect(marksOf(mine, comparison, false).map(({ voice }) => voice)).toEqual(["human", "human"]);
    expect(outlinesOf(null, true)).toEqual([]);
    expect(outlinesOf(comparison, false)).toEqual([]);
  });

  it("keep the voices apart and agree in green", () => {
    expect(Object.fromEntries(marksOf(mine, comparison, true).map(({ finding, voice }) => [finding.id, voice])))
      .toEqual({ a: "human", b: "agreed", m1: "machine", m2: "machine", m3: "agreed" });
    expect(outlinesOf(comparison, true).map(({ voice, strong }) => [voice, strong])).toEqual([["agreed", true], ["machine", false]]);
  });

  it("come in the order of the list: contradicted, only CoRead, only you, both", () => {
    expect(listOrder(comparison)).toEqual(["m1", "m2", "a", "m3"]);
  });
});

describe("the views", () => {
  const volume = (key: string, frame: string, slices = 10): Part => ({
    key, kind: "volume", shape: [slices, 4, 4], channels: 1, dtype: "int16", spacing_mm: [2, 1, 1],
    affine: [[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]], frame_of_reference: frame, instances: [],
    times_s: null, window: { name: "w", center: 40, width: 400 }, presets: [], unit: "HU", notes: [], frames: "",
  });
  const series = (...parts: Part[]) => ({ series: parts.map((part) => ({ uid: part.key, number: 1, description: "", modality: "CT", images: 1, parts: [part], thumbnail: null, lossy: false, simulated: false })) });
  it("have a small picture of their own where a series has several parts", () => {
    const images = ["1.1", "1.2"].map((uid) => ({ ...volume(uid, "f"), instances: [{ uid, frame: 0 }] }) as Part);
    const [one] = series(images[0]!).series;
    const address = "/dicom-web/studies/1/series/2/thumbnail";
    expect(images.map((part) => thumbnail(address, { ...one!, parts: images }, part))).toEqual([
      "/dicom-web/studies/1/series/2/instances/1.1/thumbnail",
      "/dicom-web/studies/1/series/2/instances/1.2/thumbnail",
    ]);
    expect(thumbnail(address, one!, images[0]!)).toBe(address);
  });

  const start = (): ViewerState => startViewer(series(volume("small", "f", 3), volume("v", "f")));

  it("begin with the largest volume, large, and its two other planes", () => {
    const state = start();
    expect(state.layout).toBe(3);
    expect(state.views.slice(0, 3).map(({ stack }) => [stack!.part.key, stack!.axis])).toEqual([["v", "acquired"], ["v", "coronal"], ["v", "sagittal"]]);
    expect(state.views[0]!.n).toBe(5);
  });

  it("stop at the ends of a stack", () => {
    expect(viewer(start(), { do: "scroll", by: 99 }).views[0]!.n).toBe(9);
    expect(viewer(start(), { do: "slice", n: -3 }).views[0]!.n).toBe(0);
  });

  it("go through the slices of a series in time, and through its times on one slice", () => {
    const beating: Part = { ...volume("t", "f"), kind: "series", shape: [3, 4, 4, 4], times_s: [0, 0.1, 0.2] };
    let state = startViewer(series(beating));
    const at = (): number => state.views[0]!.n;
    const go = (action: Parameters<typeof viewer>[1]): number => {
      state = viewer(state, action);
      return at();
    };
    expect(at()).toBe(2); // the middle slice at the first time
    expect(go({ do: "scroll", by: 9 })).toBe(3);
    expect(go({ do: "time", by: 1 })).toBe(7);
    expect(go({ do: "scroll", by: -1 })).toBe(6);
    expect(go({ do: "scroll", by: -9 })).toBe(4);
    expect(go({ do: "time", by: -2 })).toBe(8); // before the first time comes the last
    expect(go({ do: "cine_step" })).toBe(0);
    expect(go({ do: "time", by: 1 })).toBe(4);
    expect(go({ do: "jump", point: [0, 0, 6], frameOfReference: "f" })).toBe(7); // the time is kept
    expect(state.views[0]!.stack!.plane(7).origin).toEqual([0, 0, 6]);
    expect(viewer(start(), { do: "time", by: 1 }).views[0]!.n).toBe(start().views[0]!.n);
  });

  it("share one window among the views of one part", () => {
    const state = viewer(start(), { do: "grey", grey: { center: -600, width: 1500 } });
    expect(state.views.slice(0, 3).map(({ grey }) => grey!.center)).toEqual([-600, -600, -600]);
  });

  it("all go to the place of a finding", () => {
    const state = viewer(start(), { do: "jump", point: [3, 2, 8], frameOfReference: "f" });
    // the sagittal pile runs from left to right: x = 3 is its first plane
    expect(state.views.slice(0, 3).map(({ n }) => n)).toEqual([4, 2, 0]);
    const elsewhere = viewer(start(), { do: "jump", point: [3, 2, 8], frameOfReference: "g" });
    expect(elsewhere.views.map(({ n }) => n)).toEqual(start().views.map(({ n }) => n));
  });

  it("take a prior along by the same distance", () => {
    const prior = { ...volume("prior", "other", 10), affine: [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]] };
    const two = viewer(viewer(start(), { do: "layout", layout: 2 }), { do: "show", part: prior, view: 1 });
    const moved = viewer(two, { do: "scroll", by: -1, view: 0 });
    expect([moved.views[0]!.n, moved.views[1]!.n]).toEqual([4, 3]);
  });

  it("lay out one film alone and two beside each other", () => {
    const film = (key: string): Part => ({ ...volume(key, ""), kind: "image", shape: [4, 4], affine: null, frame_of_reference: null });
    expect(startViewer(series(film("a"))).layout).toBe(1);
    expect(startViewer(series(film("a"), film("b"))).layout).toBe(2);
    expect(startViewer({ series: [] }).views.every(({ stack }) => stack === null)).toBe(true);
  });

  it("offer each window once", () => {
    const preset = (name: string, center: number, width: number) => ({ name, center, width });
    expect(presetsOf({ presets: [preset("SOFT TISSUE", 40, 400), preset("LUNG", -600, 1500), preset("lung", -600, 1500), preset("soft tissue", 50, 400), preset("bone", 400, 1800)] }).map(({ name }) => name))
      .toEqual(["SOFT TISSUE", "LUNG", "bone"]);
  });
});
