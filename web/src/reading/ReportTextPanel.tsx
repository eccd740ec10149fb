import { useId, useState } from "react";
import type { Study, TextFinding, TextStructure } from "../api/types";
import { Problem } from "../app/Problem";
import { capital, clock, examWords, isKey, useText, type Text } from "../i18n/text";
import { GuidelineBox, type GuidelineChoice } from "./GuidelineBox";
import { ReportChecks, type ChecksHandle } from "./ReportChecks";
import { cut, spans } from "./reportText";
import { ReportTemplates } from "./ReportTemplates";
import type { ReportTextHandle } from "./useReportText";
import { MOST_CHARACTERS, useSettled, useTextStructure } from "./useTextStructure";

interface Props {
  readonly study: Study;
  readonly own: ReportTextHandle;
  readonly checks: ChecksHandle;
}

/** The reader's own text, and below it what was understood of it: findings with their words, sizes, urgency and checks. */
export function ReportTextPanel({ study, own, checks }: Props) {
  const { t } = useText();
  const field = useId();
  const typed = own.text;
  const settled = useSettled(typed);
  const structure = useTextStructure(study, settled);
  const found = settled.trim() === "" ? undefined : structure.data;
  const [chosen, setChosen] = useState<number | null>(null);
  const [guideline, setGuideline] = useState<GuidelineChoice | null>(null);
  return (
    <div className="list report-text">
      <label htmlFor={field}>{t("text.write")}</label>
      <textarea id={field} className="field" rows={9} spellCheck value={typed} readOnly={!own.editable} aria-describedby={`${field}-what`}
        onChange={(event) => { own.write(event.target.value); setChosen(null); }} />
      <p className="muted" id={`${field}-what`}>{t(!own.kept ? "text.not_kept" : own.editable ? "text.kept" : "text.closed")}</p>
      <Saved own={own} />
      {own.editable && (
        <ReportTemplates modalities={[...new Set(study.series.map(({ modality }) => modality))]}
          put={({ name, version, text }) => own.write([typed.trimEnd(), text].filter(Boolean).join("\n\n"), { name, version })} />
      )}
      {typed.length > MOST_CHARACTERS && <p role="alert">{t("text.too_long", { n: MOST_CHARACTERS })}</p>}
      {structure.error && <Problem error={structure.error} retry={() => void structure.refetch()} />}
      {structure.isLoading && <p className="muted" role="status">{t("app.loading")}</p>}
      {settled.trim() === "" && <p className="muted">{t("text.empty")}</p>}
      {own.kept && <ReportChecks checks={checks} editable={own.editable} />}
      {found && <Understood found={found} kept={own.kept} chosen={chosen} choose={setChosen} ask={setGuideline} />}
      <GuidelineBox choice={guideline} choose={setGuideline} />
    </div>
  );
}

/** Whether the text is saved; where another window saved its own, which one is to stay. */
function Saved({ own }: { own: ReportTextHandle }) {
  const { t, language } = useText();
  if (own.other) {
    return (
      <div className="notice plain" role="alert">
        <p>{t("text.other_window")}</p>
        <blockquote className="marked">{own.other.text}</blockquote>
        <div className="act">
          <button onClick={() => own.choose("other")}>{t("text.take_other")}</button>
          <button onClick={() => own.choose("mine")}>{t("text.keep_mine")}</button>
        </div>
      </div>
    );
  }
  if (!own.kept || !own.editable) return null;
  return (
    <p className="muted" role="status">
      {own.saving.step === "unsaved" ? t("text.unsaved") : own.saving.step === "saving" ? t("text.saving") : own.saving.at ? t("text.saved", { time: clock(language, own.saving.at) }) : t("text.empty_saved")}
    </p>
  );
}

interface UnderstoodProps {
  readonly found: TextStructure;
  /** The report as a whole is checked, so that the text alone need not be. */
  readonly kept: boolean;
  readonly chosen: number | null;
  choose(finding: number | null): void;
  ask(choice: GuidelineChoice): void;
}

/** What was understood, the marked text first. */
export function Understood({ found, kept, chosen, choose, ask }: UnderstoodProps) {
  const text = useText();
  const { t, language } = text;
  return (
    <>
      <h2>{t("text.understood")}</h2>
      <p className="marked" lang={found.language} aria-label={t("text.marked")} role="group">
        {spans(found.text, found.findings, found.measurements).map((span, n) => (span.findings.length === 0 ? span.text : (
          <mark key={n} className={chosen !== null && span.findings.includes(chosen) ? "on" : undefined}>{span.text}</mark>
        )))}
      </p>
      {found.critical_findings.map(({ index, category }) => (
        <div key={index} className="notice plain critical" role="status">
          <p>{t("text.critical", { n: category, what: named(found, found.findings[index]!) })}</p>
          <p>{found.communication ? t("text.told", { words: found.communication.text }) : t("text.untold")}</p>
        </div>
      ))}
      {!kept && found.checks.length > 0 && (
        <section>
          <h3>{t("text.checks")}</h3>
          <ul>{found.checks.map((check, n) => (
            <li key={n}>{isKey(`check.${check.code}`) ? t(`check.${check.code}` as "check.unit_slip") : check.text}
              <small lang={found.language}> {check.words.map(({ text }) => `“${text}”`).join(", ")}</small></li>
          ))}</ul>
        </section>
      )}
      {found.findings.length === 0 && <p className="muted">{t("text.nothing")}</p>}
      {found.findings.map((finding, n) => (
        <article key={n} className={`card human${n === chosen ? " on" : ""}`} data-text-finding={finding.finding}
          onMouseEnter={() => choose(n)} onFocus={() => choose(n)}>
          <h3><button className="title" aria-pressed={n === chosen} onClick={() => choose(n)}>{capital(language, named(found, finding))}</button>
            <small>{[t(`status.${finding.status}`), finding.subject === "other" ? t("text.other") : ""].filter(Boolean).join(", ")}</small></h3>
          <Sizes found={found} of={n} />
          <Cues cues={finding.cues} language={found.language} />
          {found.guidelines.filter((one) => one.finding === n).map((one) => (
            <div className="act" key={one.name}>
              <button onClick={() => ask({ name: one.name, inputs: one.inputs })}>{t("guideline.for", { name: one.name.replaceAll("_", " ") })}</button>
            </div>
          ))}
        </article>
      ))}
      {found.recommendations.length > 0 && (
        <section>
          <h3>{t("text.recommended")}</h3>
          {found.recommendations.map((one, n) => (
            <div key={n}><p>{capital(language, examWords(text, one.what))} {months({ t }, one.min_months, one.max_months)}</p><Cues cues={one.cues} language={found.language} /></div>
          ))}
        </section>
      )}
    </>
  );
}

/** A finding by the text's own words, side and site with it. */
function named(found: TextStructure, finding: TextFinding): string {
  const around = finding.cues.filter(({ role }) => role === "laterality" || role === "location").map(({ text }) => text);
  return [cut(found.text, finding.start, finding.end), ...around].join(", ");
}

function months({ t }: Pick<Text, "t">, from: number | null, to: number | null): string {
  if (from === null || to === null) return "";
  return from === to ? t("text.month", { n: from }) : t("text.months", { from, to });
}

function Sizes({ found, of }: { found: TextStructure; of: number }) {
  const { t } = useText();
  const sizes = found.measurements.filter(({ finding }) => finding === of);
  if (sizes.length === 0) return null;
  return <p>{sizes.map((size) => [
    t("text.size", { size: size.values_mm.join(" × ") }), size.prior_mm && t("text.prior_size", { size: size.prior_mm.join(" × ") }),
  ].filter(Boolean).join(", ")).join("; ")}</p>;
}

function Cues({ cues, language }: { cues: TextFinding["cues"]; language: string }) {
  const { t } = useText();
  return (
    <p className="muted cues">{t("text.by")}{" "}
      {cues.map((cue, n) => (
        <span key={n}>{n > 0 && ", "}<q lang={language}>{cue.text}</q> {isKey(`cue.${cue.role}`) ? `(${t(`cue.${cue.role}` as "cue.finding")})` : ""}</span>
      ))}
    </p>
  );
}
