import { useText } from "../i18n/text";
import { usePreferences } from "./preferences";

/** Language and light, small and always at the same place. */
export function Preferences() {
  const { t, language } = useText();
  const { theme, setLanguage, setTheme } = usePreferences();
  return (
    <span className="preferences" role="group" aria-label={t("app.language")}>
      {(["en", "tr"] as const).map((code) => (
        <button key={code} className="quiet" aria-pressed={code === language} onClick={() => setLanguage(code)}>
          {code.toUpperCase()}
        </button>
      ))}
      <button className="quiet" onClick={() => setTheme(theme === "dark" ? "light" : "dark")}>
        {t(theme === "dark" ? "app.theme" : "app.theme.dark")}
      </button>
    </span>
  );
}
