/** One table of keys: what they do, how they are shown, and the list behind `?`. Pure. */
import type { Key } from "../i18n/catalogue";

export type Action =
  | "image.up" | "image.down" | "image.first" | "image.last" | "view.previous" | "view.next"
  | "series.previous" | "series.next" | "view.reset" | "zoom.in" | "zoom.out" | "zoom.fit" | "tool.zoom"
  | "time.previous" | "time.next" | "rotate.right" | "rotate.left" | "flip.across" | "flip.down" | "cine" | "invert"
  | "window.1" | "window.2" | "window.3" | "window.4" | "window.5"
  | "layout.1" | "layout.2" | "layout.3" | "layout.4" | "planes" | "text" | "tool.length" | "tool.ellipse"
  | "finding.add" | "finding.next" | "finding.previous" | "finding.jump" | "finding.remove" | "undo" | "redo"
  | "ai.toggle" | "threshold.down" | "threshold.up" | "accept" | "reject" | "modify" | "main" | "help" | "leave";

export interface Binding {
  readonly action: Action;
  /** `event.key`, lower case for letters; with `code` instead where the key differs between keyboards. */
  readonly key?: string;
  readonly code?: string;
  readonly control?: boolean;
  readonly shift?: boolean;
  readonly shown: string;
}

export const BINDINGS: readonly Binding[] = [
  { action: "image.up", key: "ArrowUp", shown: "↑" },
  { action: "image.down", key: "ArrowDown", shown: "↓" },
  { action: "image.first", key: "Home", shown: "Home" },
  { action: "image.last", key: "End", shown: "End" },
  { action: "view.previous", key: "ArrowLeft", shown: "←" },
  { action: "view.next", key: "ArrowRight", shown: "→" },
  { action: "series.previous", key: "PageUp", shown: "PgUp" },
  { action: "series.next", key: "PageDown", shown: "PgDn" },
  { action: "time.previous", key: ",", shown: "," },
  { action: "time.next", key: ".", shown: "." },
  { action: "view.reset", key: " ", shown: "Space" },
  { action: "zoom.in", key: "+", shown: "+" },
  { action: "zoom.out", key: "-", shown: "-" },
  { action: "zoom.fit", key: "=", shown: "=" },
  { action: "tool.zoom", key: "z", shown: "Z" },
  { action: "rotate.right", key: "r", shown: "R" },
  { action: "rotate.left", key: "l", shown: "L" },
  { action: "flip.across", key: "h", shown: "H" },
  { action: "flip.down", key: "v", shown: "V" },
  { action: "cine", key: "c", shown: "C" },
  { action: "invert", key: "i", shown: "I" },
  { action: "window.1", code: "Digit1", shown: "1" },
  { action: "window.2", code: "Digit2", shown: "2" },
  { action: "window.3", code: "Digit3", shown: "3" },
  { action: "window.4", code: "Digit4", shown: "4" },
  { action: "window.5", code: "Digit5", shown: "5" },
  { action: "layout.1", code: "Digit1", shift: true, shown: "⇧1" },
  { action: "layout.2", code: "Digit2", shift: true, shown: "⇧2" },
  { action: "layout.3", code: "Digit3", shift: true, shown: "⇧3" },
  { action: "layout.4", code: "Digit4", shift: true, shown: "⇧4" },
  { action: "planes", key: "b", shown: "B" },
  { action: "text", key: "t", shown: "T" },
  { action: "tool.length", key: "d", shown: "D" },
  { action: "tool.ellipse", key: "e", shown: "E" },
  { action: "finding.add", key: "f", shown: "F" },
  { action: "finding.next", key: "n", shown: "N" },
  { action: "finding.previous", key: "p", shown: "P" },
  { action: "finding.jump", key: "Enter", shown: "Enter" },
  { action: "finding.remove", key: "Backspace", shown: "⌫" },
  { action: "undo", key: "z", control: true, shown: "Ctrl Z" },
  { action: "redo", key: "y", control: true, shown: "Ctrl Y" },
  { action: "ai.toggle", key: "a", shown: "A" },
  { action: "threshold.down", key: "[", shown: "[" },
  { action: "threshold.up", key: "]", shown: "]" },
  { action: "accept", key: "y", shown: "Y" },
  { action: "reject", key: "x", shown: "X" },
  { action: "modify", key: "m", shown: "M" },
  { action: "main", key: "Enter", control: true, shown: "Ctrl ↵" },
  { action: "help", key: "?", shown: "?" },
  { action: "leave", key: "Escape", shown: "Esc" },
];

/** Actions of the machine: they are neither taken nor listed before the first read is stored. */
export const AFTER_REVEAL: ReadonlySet<Action> = new Set(["ai.toggle", "threshold.down", "threshold.up", "accept", "reject", "modify"]);

type Pressed = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">;

/** What a key press means; while a field has the focus only Escape and Ctrl with Enter are taken. */
export function actionOf(event: Pressed, typing: boolean): Action | null {
  if (event.altKey) return null;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const found = BINDINGS.find((binding) => {
    if (Boolean(binding.control) !== control) return false;
    if (binding.code) return binding.code === event.code && Boolean(binding.shift) === event.shiftKey;
    return binding.key === key;
  });
  if (!found) return null;
  return typing && found.action !== "leave" && found.action !== "main" ? null : found.action;
}

/** Whether a key belongs to the element that has the focus. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

export const shownKey = (action: Action): string => BINDINGS.find((binding) => binding.action === action)!.shown;
export const keyWords = (action: Action): Key => `key.${action}` as Key;
