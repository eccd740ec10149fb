import { useId, useState, type KeyboardEvent, type RefObject } from "react";
import type { Concept, Finding, VocabularyEntry } from "../api/types";
import { capital, conceptKey, lower, useText } from "../i18n/text";
import { OTHER, searchVocabulary } from "./findings";

interface Props {
  readonly field: RefObject<HTMLInputElement | null>;
  readonly vocabulary: readonly VocabularyEntry[];
  add(concept: Concept, status: Finding["status"], comment: string): void;
}

const MOST = 7;

/** A field that finds words of the vocabulary; "no effusion" or "efüzyon yok" says that it is absent. */
export function AddFinding({ field, vocabulary, add }: Props) {
  const { t, language } = useText();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const { absent, found } = searchVocabulary(typed, vocabulary);
  const offered = found.slice(0, MOST);
  const asked = typed.trim() !== "";

  function take(entry: VocabularyEntry | undefined): void {
    if (!asked) return;
    if (entry) add(entry.concept, absent ? "absent" : "present", "");
    else add(OTHER, "present", typed.trim());
    setTyped("");
    setAt(0);
    field.current?.blur();
  }

  function press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowDown") setAt((n) => Math.min(n + 1, offered.length - 1));
    else if (event.key === "ArrowUp") setAt((n) => Math.max(n - 1, 0));
    else if (event.key === "Enter") take(offered[at]);
    else if (event.key === "Escape") {
      event.stopPropagation();
      setTyped("");
      field.current?.blur();
    } else return;
    event.preventDefault();
  }

  return (
    <div className="combo">
      <input ref={field} className="field" role="combobox" aria-expanded={asked} aria-controls={list} aria-autocomplete="list"
        aria-activedescendant={asked && offered[at] ? `${list}-${at}` : undefined} aria-label={t("findings.add")}
        placeholder={t("findings.add")} value={typed} onKeyDown={press}
        onChange={(event) => { setTyped(event.target.value); setAt(0); }} />
      <ul id={list} role="listbox" aria-label={t("findings.concept")} hidden={!asked || offered.length === 0}>
        {offered.map((entry, n) => (
          <li key={conceptKey(entry.concept)} id={`${list}-${n}`} role="option" aria-selected={n === at}
            onMouseDown={(event) => { event.preventDefault(); take(entry); }}>
            {absent ? capital(language, t("findings.no", { what: lower(language, entry.words) })) : entry.words}
          </li>
        ))}
      </ul>
      {asked && offered.length === 0 && <p className="muted combo-note" role="status">{t("findings.unknown_word")}</p>}
    </div>
  );
}
