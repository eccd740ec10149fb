import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { catalogue } from "./catalogue";
import { fixed, makeText, personName, probabilityWords, words } from "./text";

const SOURCE = join(import.meta.dirname, "..");
const components = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tsx"));
const sources = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !name.includes(".test.") && !name.endsWith("catalogue.ts"))
  .map((name) => readFileSync(join(SOURCE, name), "utf8")).join("\n");

const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)/g)].map((found) => found[1]!).sort();

describe("the catalogue", () => {
  it.each(Object.entries(catalogue))("%s is said in both languages with the same values", (_, [english, turkish]) => {
    expect(english.trim()).not.toBe("");
    expect(turkish.trim()).not.toBe("");
    expect(new Set(holes(turkish))).toEqual(new Set(holes(english)));
  });

  it("has no key that nothing asks for", () => {
    const families = [...sources.matchAll(/`(\w[\w. ]*\.)\$\{/g)].map((found) => found[1]!);
    const unused = Object.keys(catalogue).filter(
      (key) => !sources.includes(`"${key}"`) && !families.some((family) => key.startsWith(family)),
    );
    expect(unused).toEqual([]);
  });

  it("is the only place with words: no component holds text", () => {
    const found: string[] = [];
    for (const name of components) {
      const source = readFileSync(join(SOURCE, name), "utf8").replaceAll("=>", "").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
      // words between tags, and words in attributes that people see or hear
      for (const [, text] of source.matchAll(/>([^<>{}]*\p{L}{2,}[^<>{}]*)(?=<\/?[a-z]|\{)/gu)) {
        // what stands after the > of a type or a comparison is code
        if (!/[;&|=()]|^\s*[:,]|^\[?\]?\s*$/.test(text!)) found.push(`${name}: ${text!.trim()}`);
      }
      for (const [, text] of source.matchAll(/(?:aria-label|title|placeholder|alt)="([^"]*\p{L}[^"]*)"/gu)) found.push(`${name}: ${text}`);
    }
    expect(found).toEqual([]);
  });
});

describe("words", () => {
  it("fills in values and chooses by number", () => {
    expect(words("en", "worklist.images", { n: 1 })).toBe("1 image");
    expect(words("en", "worklist.images", { n: 4 })).toBe("4 images");
    expect(words("tr", "worklist.images", { n: 4 })).toBe("4 görüntü");
  });

  it("writes numbers as the language does, with a true minus sign", () => {
    expect(fixed("en", -117.5, 1)).toBe("−117.5");
    expect(fixed("tr", -117.5, 1)).toBe("−117,5");
  });

  it("never writes a probability as certain that is not", () => {
    expect(probabilityWords("en", 0.9999)).toBe("> 0.99");
    expect(probabilityWords("en", 0.0001)).toBe("< 0.01");
    expect(probabilityWords("en", 0.81)).toBe("0.81");
    expect(probabilityWords("en", 1)).toBe("1.00");
  });

  it("takes a concept's words from the vocabulary, the catalogue, or as they came", () => {
    const text = makeText("tr", new Map([["SCT/60046008", "Plevral efüzyon"]]));
    expect(text.concept({ value: "60046008", scheme: "SCT", meaning: "Pleural effusion" })).toBe("Plevral efüzyon");
    expect(text.concept({ value: "7771000", scheme: "SCT", meaning: "Left" })).toBe("sol");
    expect(text.concept({ value: "x", scheme: "99X", meaning: "Foreign" })).toBe("Foreign");
  });

  it("writes DICOM names as people do", () => {
    expect(personName("Işık^Ayşegül^^Dr.")).toBe("Işık, Ayşegül");
    expect(personName("Yamada^Tarou=山田^太郎")).toBe("Yamada, Tarou");
    expect(personName("")).toBe("");
  });
});
