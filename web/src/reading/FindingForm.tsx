import { useEffect, useRef, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client";
import type { Concept, Finding } from "../api/types";
import { conceptKey, useText } from "../i18n/text";
import { PLACES, SIDES } from "./findings";

interface Props {
  readonly finding: Finding;
  readonly withChange: boolean;
  save(finding: Finding): void;
  cancel(): void;
}

const STATUSES = ["present", "uncertain", "historical", "absent"] as const;
const CHANGES = ["new", "larger", "smaller", "unchanged", "resolved"] as const;

/** All that can be said of one finding. */
export function FindingForm({ finding, withChange, save, cancel }: Props) {
  const { t, language, concept } = useText();
  const [value, setValue] = useState(finding);
  const vocabulary = useQuery({ queryKey: ["vocabulary", language], queryFn: () => api.vocabulary(language), staleTime: Infinity });
  const first = useRef<HTMLSelectElement>(null);
  useEffect(() => first.current?.focus(), []);
  const change = (part: Partial<Finding>) => setValue((before) => ({ ...before, ...part }));
  const choice = (list: readonly Concept[], key: string): Concept | null => list.find((one) => conceptKey(one) === key) ?? null;
  const concepts = (vocabulary.data ?? []).map((entry) => entry.concept);
  const known = concepts.some((one) => conceptKey(one) === conceptKey(value.concept)) ? concepts : [value.concept, ...concepts];
  return (
    <form className="finding-form" onSubmit={(event) => { event.preventDefault(); save(value); }}
      onKeyDown={(event) => {
        if (event.key === "Escape") { event.stopPropagation(); cancel(); }
      }}>
      <label>{t("findings.concept")}
        <select ref={first} value={conceptKey(value.concept)} onChange={(event) => change({ concept: choice(known, event.target.value)! })}>
          {known.map((one) => <option key={conceptKey(one)} value={conceptKey(one)}>{concept(one)}</option>)}
        </select>
      </label>
      <label>{t("findings.side")}
        <select value={value.laterality ? conceptKey(value.laterality) : ""} onChange={(event) => change({ laterality: choice(SIDES, event.target.value) })}>
          <option value="">{t("findings.not_given")}</option>
          {SIDES.map((one) => <option key={one.value} value={conceptKey(one)}>{concept(one)}</option>)}
        </select>
      </label>
      <label>{t("findings.place")}
        <select value={value.place ? conceptKey(value.place) : ""} onChange={(event) => change({ place: choice(PLACES, event.target.value) ?? (event.target.value ? value.place ?? null : null) })}>
          <option value="">{t("findings.not_given")}</option>
          {(value.place && !choice(PLACES, conceptKey(value.place)) ? [value.place, ...PLACES] : PLACES).map((one) => (
            <option key={one.value} value={conceptKey(one)}>{concept(one)}</option>
          ))}
        </select>
      </label>
      <label>{t("findings.status")}
        <select value={value.status} onChange={(event) => change({ status: event.target.value as Finding["status"] })}>
          {STATUSES.map((one) => <option key={one} value={one}>{t(`status.${one}`)}</option>)}
        </select>
      </label>
      {withChange && (
        <label>{t("findings.change")}
          <select value={value.change ?? ""} onChange={(event) => change({ change: (event.target.value || null) as Finding["change"] })}>
            <option value="">{t("findings.not_given")}</option>
            {CHANGES.map((one) => <option key={one} value={one}>{t(`change.${one}`)}</option>)}
          </select>
        </label>
      )}
      <label className="wide">{t("findings.comment")}
        <textarea rows={2} value={value.comment} onChange={(event) => change({ comment: event.target.value })} />
      </label>
      <div className="act">
        <button type="submit" className="primary">{t("app.save")}</button>
        <button type="button" onClick={cancel}>{t("app.cancel")}</button>
      </div>
    </form>
  );
}
