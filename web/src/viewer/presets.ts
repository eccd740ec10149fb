/** The window presets of a part: those of its files first, each window once. Pure. */
import type { Part, Window } from "../api/types";
import type { Grey } from "./state";

export function presetsOf(part: Pick<Part, "presets">): Window[] {
  const found: Window[] = [];
  for (const preset of part.presets) {
    const same = (one: Window) => one.name.toLowerCase() === preset.name.toLowerCase() || (one.center === preset.center && one.width === preset.width);
    if (!found.some(same)) found.push(preset);
  }
  return found;
}

/** The name of the preset that a window is, in lower case; null where it is none. */
export function presetName(part: Pick<Part, "presets">, grey: Grey): string | null {
  const found = part.presets.find((one) => one.center === grey.center && one.width === grey.width);
  return found ? found.name.toLowerCase() : null;
}
