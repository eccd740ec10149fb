import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import type { DismissReason, Reading, ReportCheck } from "../api/types";
import { problemWords } from "../app/Problem";
import { clock, isKey, useText } from "../i18n/text";

const WHY: readonly DismissReason[] = ["right_as_written", "told_elsewhere", "misread", "not_applicable", "other"];

export interface ChecksHandle {
  readonly checks: readonly ReportCheck[];
  /** Those that wait for other words or for an answer. */
  readonly open: number;
  dismiss(check: ReportCheck, reason: DismissReason, comment: string): Promise<void>;
}

/** The checks of the report as it stands on the server: after each save of its text or its sentences. */
export function useChecks(uid: string, reading: Reading | undefined, textVersion: number, setReading: (reading: Reading) => void): ChecksHandle {
  const { language } = useText();
  const queries = useQueryClient();
  const reads = reading !== undefined && reading.state !== "unread";
  const found = useQuery({
    queryKey: ["report", uid, "checks", language, reading?.version, textVersion], queryFn: () => api.reportChecks(uid, language),
    enabled: reads, placeholderData: (before) => before,
  });
  const checks = found.data?.checks ?? [];
  return {
    checks, open: checks.filter(({ dismissed }) => !dismissed).length,
    dismiss: async (check, reason, comment) => {
      setReading(await api.dismissCheck(uid, { key: check.key, reason, comment, language }, reading!.version));
      await queries.invalidateQueries({ queryKey: ["report", uid] });
    },
  };
}

/** What does not fit in the report: each is explained, and is corrected in the words or answered with a reason. */
export function ReportChecks({ checks, editable }: { checks: ChecksHandle; editable: boolean }) {
  const { t } = useText();
  const [answering, setAnswering] = useState<string | null>(null);
  if (checks.checks.length === 0) return null;
  return (
    <section className="checks">
      <h3>{t("text.checks")}</h3>
      {editable && checks.open > 0 && <p className="muted">{t("checks.what")}</p>}
      {checks.checks.map((check) => (
        <Check key={check.key} check={check} answering={answering === check.key} editable={editable}
          answer={(on) => setAnswering(on ? check.key : null)} dismiss={(reason, comment) => checks.dismiss(check, reason, comment)} />
      ))}
    </section>
  );
}

interface CheckProps {
  readonly check: ReportCheck;
  readonly answering: boolean;
  readonly editable: boolean;
  answer(on: boolean): void;
  dismiss(reason: DismissReason, comment: string): Promise<void>;
}

function Check({ check, answering, editable, answer, dismiss }: CheckProps) {
  const text = useText();
  const { t, language } = text;
  const title = `check.${check.code}`;
  return (
    <article className={`card check${check.dismissed ? " answered" : ""}`} data-check={check.code}>
      <h4>{isKey(title) ? t(title) : check.code}</h4>
      <p>{check.text}</p>
      <p className="muted">{check.words.map(({ text: words }, n) => <span key={n}>{n > 0 && ", "}<q>{words}</q></span>)}</p>
      {check.dismissed ? (
        <p className="muted" role="status">{t("checks.dismissed", {
          time: clock(language, check.dismissed.at), why: [t(`dismiss.${check.dismissed.reason}`), check.dismissed.comment].filter(Boolean).join(": "),
        })}</p>
      ) : editable && !answering && <div className="act"><button onClick={() => answer(true)}>{t("checks.dismiss")}</button></div>}
      {answering && !check.dismissed && <DismissForm cancel={() => answer(false)} dismiss={async (reason, comment) => { await dismiss(reason, comment); answer(false); }} />}
    </article>
  );
}

function DismissForm({ dismiss, cancel }: { dismiss: (reason: DismissReason, comment: string) => Promise<void>; cancel: () => void }) {
  const text = useText();
  const { t } = text;
  const [reason, setReason] = useState<DismissReason>("right_as_written");
  const [comment, setComment] = useState("");
  const [error, setError] = useState<unknown>(null);
  const missing = reason === "other" && comment.trim() === "";
  return (
    <form className="dismiss-form" onSubmit={(event) => {
      event.preventDefault();
      if (!missing) dismiss(reason, comment.trim()).catch(setError);
    }} onKeyDown={(event) => {
      if (event.key === "Escape") { event.stopPropagation(); cancel(); }
    }}>
      <label>{t("checks.why")}
        <select autoFocus className="field" value={reason} onChange={(event) => setReason(event.target.value as DismissReason)}>
          {WHY.map((one) => <option key={one} value={one}>{t(`dismiss.${one}`)}</option>)}
        </select>
      </label>
      <label>{reason === "other" ? t("compare.other") : t("findings.comment")}
        <input className="field" value={comment} onChange={(event) => setComment(event.target.value)} />
      </label>
      {error !== null && <p role="alert">{problemWords(text, error)}</p>}
      <div className="act">
        <button type="submit" className="primary" disabled={missing}>{t("checks.let")}</button>
        <button type="button" onClick={cancel}>{t("app.cancel")}</button>
      </div>
    </form>
  );
}
