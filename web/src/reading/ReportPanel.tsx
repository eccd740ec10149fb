import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Comparison, Reading, Report, Section } from "../api/types";
import { Problem, problemWords } from "../app/Problem";
import { clock, useText } from "../i18n/text";
import { Exports } from "./Exports";
import { findingTitle, overturned } from "./findings";
import { ReportChecks, type ChecksHandle } from "./ReportChecks";
import { ReportPreview } from "./ReportPreview";
import type { ReportTextHandle } from "./useReportText";

interface Props {
  readonly uid: string;
  readonly reading: Reading;
  readonly comparison: Comparison | null;
  readonly stated: ReadonlySet<string>;
  readonly writable: boolean;
  readonly text: ReportTextHandle;
  readonly checks: ChecksHandle;
  toText(): void;
  addendum(text: string): Promise<void>;
}

/** The report: sentences with their origin and the reader's own words before signing, files and addenda after. */
export function ReportPanel({ uid, reading, comparison, stated, writable, text: own, checks, toText, addendum }: Props) {
  const text = useText();
  const { t, language } = text;
  const queries = useQueryClient();
  const signed = reading.state === "signed" || reading.state === "addendum";
  const report = useQuery({
    queryKey: ["report", uid, "words", language, reading.version, own.version], queryFn: () => api.report(uid, language),
    enabled: signed || reading.state === "reconciled", placeholderData: (before) => before,
  });
  const [preview, setPreview] = useState(false);
  const [saved, setSaved] = useState<{ error: unknown } | "saved" | null>(null);

  async function save(sections: Section[]): Promise<void> {
    try {
      await api.saveReport(uid, sections, [...stated], language);
      setSaved("saved");
      await queries.invalidateQueries({ queryKey: ["report", uid] });
    } catch (error) {
      setSaved({ error });
    }
  }

  // numbers that were chosen for the report are part of its draft
  const chosen = [...stated].sort().join();
  const sections = report.data?.sections;
  useEffect(() => {
    if (sections && !signed && writable) void save(sections);
  }, [chosen]);

  if (!signed && reading.state !== "reconciled") return <div className="list"><p className="muted">{t("report.wait")}</p></div>;
  return (
    <div className="list">
      {report.isPending && <p className="muted" role="status">{t("app.loading")}</p>}
      {report.error && <Problem error={report.error} retry={() => void report.refetch()} />}
      {report.data && (
        <>
          <div className="row">
            <h2>{t("report.title")}</h2>
            <button onClick={() => setPreview(true)}>{t("report.preview")}</button>
          </div>
          <ReportChecks checks={checks} editable={writable && !signed} />
          <Sections key={`${language}/${signed}`} report={report.data} editable={writable && !signed} save={(changed) => void save(changed)} toText={toText} />
          {!signed && overturned(comparison, reading).map((finding) => (
            <p key={finding.id} className="notice plain" role="status">{t("report.contradiction", { what: findingTitle(text, finding) })}</p>
          ))}
          {saved === "saved" && !signed && <p className="muted" role="status">{t("report.saved")}</p>}
          {saved !== null && saved !== "saved" && <p role="alert">{t("report.unsaved", { why: problemWords(text, saved.error) })}</p>}
          {preview && <ReportPreview report={report.data} close={() => setPreview(false)} />}
        </>
      )}
      {signed && <Exports uid={uid} version={reading.version} />}
      {reading.addenda.map((one) => (
        <article key={one.at} className="card human">
          <h3>{t("addendum.title")} <small>{clock(language, one.at)}</small></h3>
          <p>{one.text}</p>
        </article>
      ))}
      {signed && writable && <AddendumForm add={addendum} />}
    </div>
  );
}

/** Sentences by section; the reader's own can be written and changed, the machine's only stand as accepted. */
function Sections({ report, editable, save, toText }: { report: Report; editable: boolean; save: (sections: Section[]) => void; toText: () => void }) {
  const { t } = useText();
  const [open, setOpen] = useState<string | null>(null);
  const [typed, setTyped] = useState("");
  const isMachine = (sentence: Section["sentences"][number]) => sentence.origin?.kind === "model";
  const whose = ({ origin, accepted_by, edits, span }: Section["sentences"][number]): string => {
    if (origin?.kind === "model") return t("report.by_machine", { who: accepted_by ?? "" });
    if (origin?.kind === "template") return t(edits.length ? "report.by_template_edited" : "report.by_template", { name: (origin.name ?? "").replaceAll("_", " ") });
    if (origin?.kind === "imported") return t("report.by_import", { name: origin.name ?? "" });
    return t(span ? "report.by_text" : "report.by_you");
  };
  const replace = (name: string, at: number, words: string | null) => save(report.sections.map((section) => section.name !== name ? section : {
    ...section,
    sentences: section.sentences.flatMap((one, n) => (n !== at ? [one] : words ? [{ ...one, text: words }] : [])),
  }));
  const add = (name: string) => {
    const words = typed.trim();
    setOpen(null);
    setTyped("");
    if (words) save(report.sections.map((section) => section.name !== name ? section : {
      ...section, sentences: [...section.sentences, { text: words, origin: null, findings: [], accepted_by: null, edits: [] }],
    }));
  };
  return (
    <>
      {report.sections.map((section) => (
        <section key={section.name} className="report-section">
          <h3>{section.title}</h3>
          {section.sentences.map((sentence, n) => (
            <div key={`${n}/${sentence.text}`} className={`sentence ${isMachine(sentence) ? "machine" : "human"}`}>
              {editable && !isMachine(sentence) && !sentence.span ? (
                <textarea rows={2} defaultValue={sentence.text} aria-label={t("report.sentence", { section: section.title ?? "" })}
                  onBlur={(event) => event.target.value.trim() !== sentence.text && replace(section.name, n, event.target.value.trim() || null)} />
              ) : <p>{sentence.text}</p>}
              <small className="muted">{whose(sentence)}{editable && sentence.span && <> <button className="quiet" onClick={toText}>{t("report.to_text")}</button></>}</small>
            </div>
          ))}
          {editable && (open === section.name ? (
            <textarea autoFocus rows={2} className="field" value={typed} aria-label={t("report.sentence", { section: section.title ?? "" })}
              onChange={(event) => setTyped(event.target.value)} onBlur={() => add(section.name)} />
          ) : <button className="quiet" onClick={() => setOpen(section.name)}>{t("report.add")}</button>)}
        </section>
      ))}
    </>
  );
}

function AddendumForm({ add }: { add: (text: string) => Promise<void> }) {
  const text = useText();
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<unknown>(null);
  return (
    <form className="addendum" onSubmit={(event) => {
      event.preventDefault();
      add(typed.trim()).then(() => { setTyped(""); setError(null); }, setError);
    }}>
      <label>{text.t("addendum.write")}
        <textarea rows={3} className="field" value={typed} onChange={(event) => setTyped(event.target.value)} />
      </label>
      <button type="submit" disabled={typed.trim() === ""}>{text.t("addendum.do")}</button>
      {error !== null && <p role="alert">{problemWords(text, error)}</p>}
    </form>
  );
}
