/** Letters for directions in the patient. Pure. */
import type { Vec3 } from "./geometry";

const LETTERS = [["R", "L"], ["A", "P"], ["F", "H"]] as const;

/**
 * The letters of a direction in LPS, the strongest first: one along an axis, up to three when oblique.
 * A component counts from 0.1 of the whole, about six degrees.
 */
export function directionLetters(direction: Vec3): string {
  const length = Math.hypot(...direction);
  if (length === 0) return "";
  return direction
    .map((value, axis) => ({ size: Math.abs(value) / length, letter: LETTERS[axis]![value < 0 ? 0 : 1] }))
    .filter(({ size }) => size >= 0.1)
    .sort((a, b) => b.size - a.size)
    .map(({ letter }) => letter)
    .join("");
}

export const opposite = (direction: Vec3): Vec3 => [-direction[0], -direction[1], -direction[2]];
