import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { api } from "../api/client";
import { conceptKey, makeText, TextContext } from "../i18n/text";
import { FollowUpPage } from "../pages/FollowUpPage";
import { IntakePage } from "../pages/IntakePage";
import { ModelsPage } from "../pages/ModelsPage";
import { WorklistPage } from "../pages/WorklistPage";
import { StudyPage } from "../reading/StudyPage";
import { PreferencesContext, storedPreferences, storePreferences } from "./preferences";
import { useRoute } from "./route";

/** Language, theme and the page that the address names. */
export function App() {
  const [stored, setStored] = useState(storedPreferences);
  const me = useQuery({ queryKey: ["me"], queryFn: api.me });
  const language = stored.language ?? me.data?.language ?? "en";
  const vocabulary = useQuery({ queryKey: ["vocabulary", language], queryFn: () => api.vocabulary(language), staleTime: Infinity });
  const route = useRoute();

  useEffect(() => {
    document.documentElement.lang = language;
    document.documentElement.dataset.theme = stored.theme;
    storePreferences(stored);
  }, [language, stored]);

  const text = useMemo(
    () => makeText(language, new Map((vocabulary.data ?? []).map((entry) => [conceptKey(entry.concept), entry.words]))),
    [language, vocabulary.data],
  );
  const preferences = useMemo(
    () => ({
      language, theme: stored.theme,
      setLanguage: (value: typeof language) => setStored((before) => ({ ...before, language: value })),
      setTheme: (theme: typeof stored.theme) => setStored((before) => ({ ...before, theme })),
    }),
    [language, stored.theme],
  );
  return (
    <PreferencesContext value={preferences}>
      <TextContext value={text}>
        {route.page === "worklist" && <WorklistPage />}
        {route.page === "follow_up" && <FollowUpPage />}
        {route.page === "intake" && <IntakePage />}
        {route.page === "models" && <ModelsPage name={route.name} />}
        {route.page === "study" && <StudyPage key={route.uid} uid={route.uid} />}
      </TextContext>
    </PreferencesContext>
  );
}
