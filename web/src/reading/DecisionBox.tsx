import { useEffect, useRef, useState } from "react";
import type { Decision, DecisionRequest, Finding } from "../api/types";
import { KeyHint } from "../app/KeyHint";
import { isKey, useText } from "../i18n/text";
import { FindingForm } from "./FindingForm";
import { findingTitle } from "./findings";

export const REASONS = ["artefact", "anatomical_variant", "known_prior", "below_threshold", "wrong_location", "other"] as const;
export type Mode = "buttons" | "reject" | "modify";

interface Props {
  readonly finding: Finding;
  readonly decision: Decision | null;
  readonly on: boolean;
  readonly mode: Mode;
  readonly busy: boolean;
  readonly withChange: boolean;
  setMode(mode: Mode): void;
  decide(request: DecisionRequest): void;
}

/** The one decision on one finding of the machine; it can be changed until signing. */
export function DecisionBox({ finding, decision, on, mode, busy, withChange, setMode, decide }: Props) {
  const text = useText();
  const { t } = text;
  if (mode === "reject") {
    return <RejectForm cancel={() => setMode("buttons")} reject={(reason, comment) => decide({ finding: finding.id, choice: "reject", reason, comment, modified: null })} />;
  }
  if (mode === "modify") {
    return (
      <FindingForm finding={decision?.modified ?? { ...finding, probability: null }} withChange={withChange} cancel={() => setMode("buttons")}
        save={(modified) => decide({ finding: finding.id, choice: "modify", reason: null, comment: "", modified })} />
    );
  }
  const reason = `reason.${decision?.reason}`;
  const said = !decision ? t("compare.undecided")
    : decision.choice === "accept" ? t("compare.accepted")
    : decision.choice === "modify" ? t("compare.modified", { what: decision.modified ? findingTitle(text, decision.modified) : "" })
    : t("compare.rejected", { why: [isKey(reason) ? t(reason) : decision.reason, decision.comment].filter(Boolean).join(": ") });
  return (
    <>
      <p className={decision ? "decided" : "muted"}>{said}</p>
      <div className="act">
        <button className={on && !decision ? "primary" : ""} disabled={busy} aria-pressed={decision?.choice === "accept"}
          onClick={() => decide({ finding: finding.id, choice: "accept", reason: null, comment: "", modified: null })}>
          {t("compare.accept")} <KeyHint action="accept" />
        </button>
        <button disabled={busy} aria-pressed={decision?.choice === "modify"} onClick={() => setMode("modify")}>{t("compare.modify")} <KeyHint action="modify" /></button>
        <button disabled={busy} aria-pressed={decision?.choice === "reject"} onClick={() => setMode("reject")}>{t("compare.reject")} <KeyHint action="reject" /></button>
      </div>
    </>
  );
}

function RejectForm({ reject, cancel }: { reject: (reason: (typeof REASONS)[number], comment: string) => void; cancel: () => void }) {
  const { t } = useText();
  const [reason, setReason] = useState<(typeof REASONS)[number]>("artefact");
  const [comment, setComment] = useState("");
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const missing = reason === "other" && comment.trim() === "";
  return (
    <form className="reject-form" onSubmit={(event) => { event.preventDefault(); if (!missing) reject(reason, comment.trim()); }}
      onKeyDown={(event) => {
        if (event.key === "Escape") { event.stopPropagation(); cancel(); }
      }}>
      <fieldset>
        <legend>{t("compare.why")}</legend>
        {REASONS.map((one, n) => (
          <label key={one}>
            <input ref={n === 0 ? first : undefined} type="radio" name="reason" checked={one === reason} onChange={() => setReason(one)} />
            {t(`reason.${one}`)}
          </label>
        ))}
      </fieldset>
      <label>{reason === "other" ? t("compare.other") : t("findings.comment")}
        <input className="field" value={comment} onChange={(event) => setComment(event.target.value)} />
      </label>
      <div className="act">
        <button type="submit" className="primary" disabled={missing}>{t("compare.reject").replace("…", "")}</button>
        <button type="button" onClick={cancel}>{t("app.cancel")}</button>
      </div>
    </form>
  );
}
