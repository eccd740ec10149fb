/** Making, naming and ordering findings. Pure. */
import type { Comparison, Concept, Finding, Me, Measurement, Probability, Reading, VocabularyEntry } from "../api/types";
import { capital, lower, type Text } from "../i18n/text";
import { placeRegion } from "../viewer/regions";
import type { Measure, Place } from "../viewer/state";
import { distance } from "../viewer/measure";

const own = (value: string, meaning: string): Concept => ({ value, scheme: "99COREAD", meaning });
const snomed = (value: string, meaning: string): Concept => ({ value, scheme: "SCT", meaning });

export const ABNORMALITY = own("finding", "Abnormality");
export const OTHER = own("other", "Other finding");
export const SIDES: readonly Concept[] = [
  snomed("24028007", "Right"), snomed("7771000", "Left"), snomed("51440002", "Right and left"),
];
export const PLACES: readonly Concept[] = [
  snomed("45653009", "Upper lobe of lung"), snomed("72481006", "Middle lobe of right lung"),
  snomed("90572001", "Lower lobe of lung"), snomed("39607008", "Lung"),
];
const LENGTH = snomed("410668003", "Length");
const AREA = snomed("42798000", "Area");

export const sameConcept = (a: Concept, b: Concept): boolean => a.value === b.value && a.scheme === b.scheme;

export function newFinding(
  id: string, reader: Pick<Me, "id" | "role">, concept: Concept, status: Finding["status"], place: Place | null,
): Finding {
  return {
    id, concept, status, probability: null, place: null, laterality: null, change: null, measurements: [], comment: "",
    origin: { kind: "reader", id: reader.id, role: reader.role, name: null, version: null, mode: null, evidence_level: null },
    region: place && status !== "absent" ? placeRegion(place) : null,
  };
}

const fold = (words: string): string =>
  words.toLocaleLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replaceAll("ı", "i").trim();

/** What typed words ask for: the matching concepts, best first, and whether they say that it is absent. */
export function searchVocabulary(typed: string, vocabulary: readonly VocabularyEntry[]): { absent: boolean; found: VocabularyEntry[] } {
  let asked = fold(typed);
  const absent = /^(no|without)\s+/.test(asked) || /\s+yok$/.test(asked);
  asked = asked.replace(/^(no|without)\s+/, "").replace(/\s+yok$/, "");
  if (!asked) return { absent, found: [] };
  const rank = (entry: VocabularyEntry): number => {
    const words = fold(entry.words), code = fold(entry.concept.meaning);
    if (words === asked || code === asked) return 0;
    if (words.startsWith(asked) || code.startsWith(asked)) return 1;
    if ([words, code].some((w) => w.split(/[\s-]+/).some((word) => word.startsWith(asked)))) return 2;
    return words.includes(asked) || code.includes(asked) ? 3 : 9;
  };
  const ranked = vocabulary.map((entry) => ({ entry, order: rank(entry) })).filter(({ order }) => order < 9);
  ranked.sort((a, b) => a.order - b.order);
  return { absent, found: ranked.map(({ entry }) => entry) };
}

/** A drawn length or ellipse as a measurement of a finding. */
export function measurementOf(measure: Measure): Measurement {
  const known = measure.part.spacing_mm !== null;
  const length = measure.kind === "length" || !measure.statistics;
  return {
    id: measure.id, concept: length ? LENGTH : AREA,
    value: length ? distance(measure.from, measure.to) : measure.statistics!.area,
    unit: length ? (known ? "mm" : "{pixels}") : known ? "mm2" : "{pixels}2",
    low: null, high: null, level: null, method: null, site: null, laterality: null,
    flags: known ? [] : ["pixel spacing unknown"], model: null,
  };
}

/** A finding in a few words: what, where, on which side. */
export function findingTitle({ t, concept, language }: Text, finding: Finding): string {
  const what = concept(finding.concept);
  if (finding.status === "absent") {
    return sameConcept(finding.concept, ABNORMALITY) ? t("findings.nothing") : capital(language, t("findings.no", { what: lower(language, what) }));
  }
  const where = [finding.place, finding.laterality].flatMap((code) => (code ? lower(language, concept(code)) : []));
  return [what, ...where].join(", ");
}

/** What the reader first said was absent and then accepted, or modified to something else than absent. */
export function overturned(comparison: Comparison | null, reading: Pick<Reading, "decisions">): Finding[] {
  return (comparison?.contradicted ?? []).flatMap(({ reader, model }) => {
    const decision = reading.decisions[model];
    const stands = decision?.choice === "accept" || (decision?.choice === "modify" && decision.modified?.status !== "absent");
    return (stands && comparison!.findings[reader]) || [];
  });
}

/** The models' findings in the order of the list: contradicted, only CoRead, agreed. */
export function machineOrder(comparison: Comparison): string[] {
  return [...comparison.contradicted.map(({ model }) => model), ...comparison.model_only, ...comparison.agreed.map(({ model }) => model)];
}

/** All findings in the order of the list. */
export function listOrder(comparison: Comparison): string[] {
  return [
    ...comparison.contradicted.map(({ model }) => model), ...comparison.model_only,
    ...comparison.reader_only, ...comparison.agreed.map(({ model }) => model),
  ];
}

/** The finding after or before another one; the first where none is chosen; round at the ends. */
export function neighbour(order: readonly string[], from: string | null, by: 1 | -1): string | null {
  if (order.length === 0) return null;
  const at = from === null ? (by === 1 ? -1 : 0) : order.indexOf(from);
  return order[(at + by + order.length) % order.length]!;
}

/** Of 100 findings with this probability about how many are true; null where it is not calibrated. */
export const ofHundred = (probability: Probability): number | null =>
  probability.calibrated ? Math.round(probability.value * 100) : null;
