/** Marks in a reader's own text, and values typed for a guideline. Pure. */
import type { DifferentialArea, Finding, GuidelineInputs, TextFinding, TextStructure } from "../api/types";
import { SIDES } from "./findings";

export interface Span {
  readonly text: string;
  /** Indices of the findings whose words these are. */
  readonly findings: readonly number[];
}

/** Some code points of a text: the server counts them, where a script counts UTF-16 units. */
export const cut = (text: string, start: number, end?: number): string => [...text].slice(start, end).join("");

/** The text in pieces, each with the findings that it made or measures. */
export function spans(text: string, stated: readonly TextFinding[], sizes: TextStructure["measurements"] = []): Span[] {
  const findings = stated.map((finding, n) => ({ cues: [...finding.cues, ...sizes.filter((size) => size.finding === n).flatMap(({ cues }) => cues)] }));
  const letters = [...text];
  const edges = new Set([0, letters.length]);
  for (const finding of findings) for (const cue of finding.cues) edges.add(cue.start).add(cue.end);
  const order = [...edges].filter((edge) => edge <= letters.length).sort((a, b) => a - b);
  return order.slice(1).map((end, n) => ({
    text: letters.slice(order[n], end).join(""),
    findings: findings.flatMap((finding, k) => (finding.cues.some((cue) => cue.start < end && cue.end > order[n]!) ? [k] : [])),
  }));
}

/** What is read of a text that a person wrote for an input: number, truth value, word, or several with commas. */
export function inputValue(typed: string): GuidelineInputs[string] | undefined {
  const scalar = (word: string): string | number | boolean => {
    if (word === "true" || word === "false") return word === "true";
    return /^[+-]?\d+(\.\d+)?$/.test(word) ? Number(word) : word;
  };
  const words = typed.split(",").map((word) => word.trim()).filter(Boolean);
  return words.length === 0 ? undefined : words.length === 1 && !typed.includes(",") ? scalar(words[0]!) : words.map(scalar);
}

/** An input as it stands in its field. */
export const inputWords = (value: GuidelineInputs[string] | undefined): string =>
  value === undefined || value === null ? "" : Array.isArray(value) ? value.join(", ") : String(value);

/** A reader's own findings as the plain English sentences that the text engine reads. */
export function sentences(findings: readonly Finding[]): string {
  return findings.filter(({ origin, status }) => origin?.kind !== "model" && (status === "present" || status === "absent")).map((finding) => {
    const side = SIDES.slice(0, 2).find(({ value }) => value === finding.laterality?.value)?.meaning.toLowerCase();
    const place = finding.place?.meaning.toLowerCase().replace(" of lung", "").replace(" of right lung", "");
    const size = (finding.measurements ?? []).find(({ unit, value }) => unit === "mm" && value > 0);
    const words = [size && `${size.value.toFixed(1)} mm`, finding.concept.meaning.toLowerCase(), (side || place) && "in the", side, place];
    return `${finding.status === "absent" ? "No " : ""}${words.filter(Boolean).join(" ")}.`;
  }).join("\n");
}

export type Seen = Readonly<Record<string, boolean>>;

/** What texts say of an area's findings; what they contradict each other on is left to the reader. */
export function seenIn(area: string, texts: readonly (TextStructure | undefined)[]): Seen {
  const said = texts.map((text) => text?.areas.find(({ name }) => name === area)?.findings ?? {});
  const all: Record<string, boolean> = Object.assign({}, ...said);
  return Object.fromEntries(Object.entries(all).filter(([name, value]) => said.every((one) => one[name] === undefined || one[name] === value)));
}

/** The area that texts are about, else none. */
export const areaOf = (areas: readonly DifferentialArea[], texts: readonly (TextStructure | undefined)[]): string =>
  texts.flatMap((text) => text?.areas ?? []).find(({ name }) => areas.some(({ area }) => area === name))?.name ?? "";
