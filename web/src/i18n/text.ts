/** Words from the catalogue, numbers, dates and times in the reader's language. */
import { createContext, useContext } from "react";
import type { Concept, Language } from "../api/types";
import { catalogue, type Key } from "./catalogue";

export type Values = Record<string, string | number>;

/** The words of a key with its values filled in. */
export function words(language: Language, key: Key, values: Values = {}): string {
  return catalogue[key][language === "tr" ? 1 : 0].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) => {
    const value = values[name as string];
    if (one !== undefined) return Number(value) === 1 ? one : many;
    return typeof value === "number" ? number(language, value) : String(value ?? "");
  });
}

/** Whether the catalogue has a key; for words that come from outside. */
export const isKey = (key: string): key is Key => key in catalogue;

const signs = (text: string): string => text.replace("-", "−");

/** A number with at most `digits` decimals and a true minus sign. */
export function number(language: Language, value: number, digits = 2): string {
  return signs(new Intl.NumberFormat(language, { maximumFractionDigits: digits, useGrouping: false }).format(value));
}

/** A number with exactly `digits` decimals. */
export function fixed(language: Language, value: number, digits: number): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
  return signs(new Intl.NumberFormat(language, options).format(value));
}

/** A probability with two decimals; nothing is written as certain that is not. */
export function probabilityWords(language: Language, value: number): string {
  if (value > 0.99 && value < 1) return `> ${fixed(language, 0.99, 2)}`;
  if (value < 0.01 && value > 0) return `< ${fixed(language, 0.01, 2)}`;
  return fixed(language, value, 2);
}

/** Some significant digits, for measured values. */
export function significant(language: Language, value: number, digits = 3): string {
  const options = { maximumSignificantDigits: Math.max(digits, Math.ceil(Math.log10(Math.abs(value) + 1))), useGrouping: false };
  return signs(new Intl.NumberFormat(language, options).format(value));
}

// English as it is written in hospitals: day before month, 24 hours
const LOCALES: Record<Language, string> = { en: "en-GB", tr: "tr" };

export function clock(language: Language, iso: string | null | undefined): string {
  return iso ? new Intl.DateTimeFormat(LOCALES[language], { timeStyle: "medium", hour12: false }).format(new Date(iso)) : "";
}

const DAY = { day: "numeric", month: "short", year: "numeric" } as const;
const MINUTE = { hour: "2-digit", minute: "2-digit", hour12: false } as const;

/** The day of a study, by the clock of the place where it was made: DICOM gives no zone. */
export function studyDay(language: Language, iso: string | null | undefined): string {
  return iso ? new Intl.DateTimeFormat(LOCALES[language], { ...DAY, timeZone: "UTC" }).format(new Date(iso)) : "";
}

/** Day and time of a study, by the clock of the place where it was made. */
export function studyTime(language: Language, iso: string | null | undefined): string {
  return iso ? new Intl.DateTimeFormat(LOCALES[language], { ...DAY, ...MINUTE, timeZone: "UTC" }).format(new Date(iso)) : "";
}

/** Day and time of an event, by the reader's clock. */
export function dayAndTime(language: Language, iso: string | null | undefined): string {
  return iso ? new Intl.DateTimeFormat(LOCALES[language], { ...DAY, ...MINUTE }).format(new Date(iso)) : "";
}

/** A waiting time in words of the worklist. */
export function duration(language: Language, seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return words(language, "time.minutes", { n: minutes });
  if (minutes < 48 * 60) {
    return words(language, "time.hours", { h: Math.floor(minutes / 60), m: String(minutes % 60).padStart(2, "0") });
  }
  return words(language, "time.days", { n: Math.floor(minutes / 1440) });
}

/** UCUM units as people write them. */
export function unitWords(unit: string): string {
  return unit === "1" ? "" : unit.replace("[hnsf'U]", "HU").replace("{pixels}", "px").replace("{pixels}2", "px²").replace("mm2", "mm²").replace("cm3", "cm³");
}

/** Words as a sentence begins, by the rules of the language (Turkish has two letters i). */
export const capital = (language: Language, text: string): string => text.slice(0, 1).toLocaleUpperCase(language) + text.slice(1);

/** A concept's words inside a sentence. */
export const lower = (language: Language, text: string): string => text.toLocaleLowerCase(language);

export interface Text {
  readonly language: Language;
  readonly t: (key: Key, values?: Values) => string;
  /** The words of a code: the vocabulary's, else the catalogue's, else as it came. */
  readonly concept: (concept: Concept) => string;
}

export const conceptKey = (concept: Pick<Concept, "value" | "scheme">): string => `${concept.scheme}/${concept.value}`;

export function makeText(language: Language, vocabulary: ReadonlyMap<string, string>): Text {
  return {
    language,
    t: (key, values) => words(language, key, values),
    concept: (concept) => {
      const own = `code.${concept.value}`;
      return vocabulary.get(conceptKey(concept)) ?? (isKey(own) ? words(language, own) : concept.meaning);
    },
  };
}

/** An examination that a text asks for, such as `CT chest`, as people say it. */
export function examWords({ t, language }: Pick<Text, "t" | "language">, what: string): string {
  const whole = `exam.${what}`;
  if (isKey(whole)) return t(whole);
  const [kind = "", ...rest] = what.split(" ");
  const [exam, region] = [`exam.${kind}`, `exam_region.${rest.join(" ")}`];
  if (!isKey(exam) || !isKey(region)) return what;
  return language === "tr" ? `${t(region)} ${t(exam)}` : `${t(exam)} ${t(region)}`;
}

export const TextContext = createContext<Text>(makeText("en", new Map()));
export const useText = (): Text => useContext(TextContext);

/** A person's name as people write it: DICOM separates the components by ^. */
export const personName = (name: string): string => {
  const [family = "", given = "", middle = ""] = (name.split("=")[0] ?? "").split("^");
  return [family, [given, middle].filter(Boolean).join(" ")].filter(Boolean).join(", ");
};
