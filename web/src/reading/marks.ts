/** Which marks are drawn, and in whose voice. Pure. */
import type { Comparison, Finding, Segment } from "../api/types";
import type { Voice } from "../viewer/draw";

export interface Mark {
  readonly finding: Finding;
  readonly voice: Voice;
}

export interface Outline {
  readonly segment: Segment;
  readonly voice: Voice;
  /** Whether it belongs to a finding; other segments (an organ) are drawn thinner. */
  readonly strong: boolean;
}

export const isAgreed = (comparison: Comparison, id: string): boolean =>
  comparison.agreed.some(({ reader, model }) => reader === id || model === id);

/** The reader's marks; with the comparison, and while the machine is switched on, its marks too. */
export function marksOf(own: readonly Finding[], comparison: Comparison | null, machine: boolean): Mark[] {
  const mine = own.map((finding): Mark => ({ finding, voice: comparison && machine && isAgreed(comparison, finding.id) ? "agreed" : "human" }));
  if (!comparison || !machine) return mine;
  const theirs = Object.values(comparison.findings)
    .filter((finding) => finding.origin?.kind === "model")
    .map((finding): Mark => ({ finding, voice: isAgreed(comparison, finding.id) ? "agreed" : "machine" }));
  return [...mine, ...theirs];
}

export function outlinesOf(comparison: Comparison | null, machine: boolean): Outline[] {
  if (!comparison || !machine) return [];
  return comparison.segments.map((segment) => ({
    segment, strong: segment.finding !== null,
    voice: segment.finding !== null && isAgreed(comparison, segment.finding) ? "agreed" : "machine",
  }));
}
