import { describe, expect, it } from "vitest";
import { catalogue } from "../i18n/catalogue";
import { actionOf, BINDINGS, keyWords } from "./keys";

const press = (key: string, more: Partial<KeyboardEvent> = {}) =>
  ({ key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

describe("keys", () => {
  it("mean one thing each", () => {
    const seen = BINDINGS.map(({ key, code, control, shift }) => `${control ? "Ctrl " : ""}${shift ? "Shift " : ""}${key ?? code}`);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it("have words", () => {
    for (const { action } of BINDINGS) expect(catalogue).toHaveProperty([keyWords(action)]);
  });

  it.each([
    ["z", "tool.zoom"], ["+", "zoom.in"], ["-", "zoom.out"], ["=", "zoom.fit"], ["r", "rotate.right"], ["l", "rotate.left"],
    ["h", "flip.across"], ["v", "flip.down"], ["c", "cine"], ["i", "invert"], ["ArrowUp", "image.up"], ["ArrowLeft", "view.previous"],
    ["PageDown", "series.next"], ["Home", "image.first"], [" ", "view.reset"], ["Backspace", "finding.remove"], ["a", "ai.toggle"],
    ["[", "threshold.down"], ["n", "finding.next"], ["Enter", "finding.jump"], ["y", "accept"], ["x", "reject"], ["m", "modify"], ["d", "tool.length"],
  ])("%s is kept as readers know it", (key, action) => {
    expect(actionOf(press(key), false)).toBe(action);
  });

  it("tell the row of digits from the layouts on it, on any keyboard", () => {
    expect(actionOf(press("1", { code: "Digit1" }), false)).toBe("window.1");
    expect(actionOf(press("!", { code: "Digit1", shiftKey: true }), false)).toBe("layout.1");
  });

  it("are not taken while one types, but for Escape and Ctrl with Enter", () => {
    expect(actionOf(press("x"), true)).toBeNull();
    expect(actionOf(press("Escape"), true)).toBe("leave");
    expect(actionOf(press("Enter", { ctrlKey: true }), true)).toBe("main");
    expect(actionOf(press("Enter"), true)).toBeNull();
  });

  it("are left to the browser with Alt, and with Ctrl where they mean nothing", () => {
    expect(actionOf(press("x", { altKey: true }), false)).toBeNull();
    expect(actionOf(press("r", { ctrlKey: true }), false)).toBeNull();
    expect(actionOf(press("z", { ctrlKey: true }), false)).toBe("undo");
  });
});
