import type { RefObject } from "react";
import type { Concept, Finding, Study, VocabularyEntry } from "../api/types";
import { KeyHint } from "../app/KeyHint";
import { capital, conceptKey, lower, useText } from "../i18n/text";
import { AddFinding } from "./AddFinding";
import { FindingCard } from "./FindingCard";
import { FindingForm } from "./FindingForm";
import { ABNORMALITY, sameConcept } from "./findings";

interface Props {
  readonly study: Study;
  readonly findings: readonly Finding[];
  readonly vocabulary: readonly VocabularyEntry[];
  readonly field: RefObject<HTMLInputElement | null>;
  readonly selected: string | null;
  readonly editing: string | null;
  readonly writable: boolean;
  where(finding: Finding): string;
  choose(id: string): void;
  edit(id: string | null): void;
  add(concept: Concept, status: Finding["status"], comment?: string): void;
  put(finding: Finding): void;
  remove(id: string): void;
}

/** The reader's own findings, alone. */
export function AlonePanel(props: Props) {
  const { t, concept, language } = useText();
  const { study, findings, vocabulary, selected, editing, writable } = props;
  const modalities = new Set(study.series.map((series) => series.modality));
  const quick = vocabulary.filter((entry) => entry.quick_no && !sameConcept(entry.concept, ABNORMALITY) && (entry.modalities.length === 0 || entry.modalities.some((m) => modalities.has(m))));
  const said = (one: Concept) => findings.some((finding) => finding.status === "absent" && sameConcept(finding.concept, one));
  return (
    <div className="list">
      {writable && <AddFinding field={props.field} vocabulary={vocabulary} add={props.add} />}
      {findings.length === 0 && <p className="muted">{t("findings.none")}</p>}
      {findings.map((finding) => (
        <FindingCard key={finding.id} finding={finding} voice="human" on={finding.id === selected}
          where={props.where(finding)} choose={() => props.choose(finding.id)}>
          {writable && editing === finding.id && (
            <FindingForm finding={finding} withChange={study.priors.length > 0} cancel={() => props.edit(null)}
              save={(changed) => { props.put(changed); props.edit(null); }} />
          )}
          {writable && selected === finding.id && editing !== finding.id && (
            <div className="act">
              <button onClick={() => props.edit(finding.id)}>{t("findings.edit")} <KeyHint action="finding.jump" /></button>
              <button onClick={() => props.remove(finding.id)}>{t("findings.remove")} <KeyHint action="finding.remove" /></button>
            </div>
          )}
        </FindingCard>
      ))}
      {writable && (
        <>
          <h2>{t("findings.also")}</h2>
          <div className="act wrap">
            {quick.map((entry) => (
              <button key={conceptKey(entry.concept)} disabled={said(entry.concept)} onClick={() => props.add(entry.concept, "absent")}>
                {capital(language, t("findings.no", { what: lower(language, concept(entry.concept)) }))}
              </button>
            ))}
            <button disabled={said(ABNORMALITY)} onClick={() => props.add(ABNORMALITY, "absent")}>{t("findings.nothing")}</button>
          </div>
        </>
      )}
    </div>
  );
}
