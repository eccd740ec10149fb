/** Language and theme of this browser. */
import { createContext, useContext } from "react";
import type { Language } from "../api/types";

export type Theme = "dark" | "light";

export interface Preferences {
  readonly language: Language | null;
  readonly theme: Theme;
  setLanguage(language: Language): void;
  setTheme(theme: Theme): void;
}

const STORE = "coread.preferences";

export function storedPreferences(): { language: Language | null; theme: Theme } {
  try {
    const { language, theme } = JSON.parse(localStorage.getItem(STORE) ?? "{}") as Record<string, string>;
    return { language: language === "en" || language === "tr" ? language : null, theme: theme === "light" ? "light" : "dark" };
  } catch {
    return { language: null, theme: "dark" };
  }
}

export const storePreferences = (values: { language: Language | null; theme: Theme }): void =>
  localStorage.setItem(STORE, JSON.stringify(values));

export const PreferencesContext = createContext<Preferences | null>(null);

export function usePreferences(): Preferences {
  return useContext(PreferencesContext)!;
}
