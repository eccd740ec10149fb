import type { ReactNode } from "react";
import type { Comparison, DecisionRequest, Finding, Reading } from "../api/types";
import { href } from "../app/route";
import { capital, useText } from "../i18n/text";
import { DecisionBox, type Mode } from "./DecisionBox";
import { FindingCard } from "./FindingCard";
import { findingTitle } from "./findings";
import { ProbabilityBar } from "./ProbabilityBar";

interface Props {
  readonly comparison: Comparison;
  readonly reading: Reading;
  readonly selected: string | null;
  readonly mode: Mode;
  readonly busy: boolean;
  readonly writable: boolean;
  readonly withChange: boolean;
  where(finding: Finding): string;
  choose(id: string): void;
  setMode(mode: Mode): void;
  decide(request: DecisionRequest): void;
}

/** The difference first: contradicted, only CoRead, only you, both; then why a model says nothing. */
export function ComparePanel(props: Props) {
  const text = useText();
  const { t, language } = text;
  const { comparison, reading, selected } = props;
  const { findings } = comparison;

  const machine = (id: string, reader: string | null, voice: "machine" | "agreed"): ReactNode => {
    const finding = findings[id];
    if (!finding) return null;
    const on = id === selected;
    const decision = reading.decisions[id] ?? null;
    const asked = decision !== null || reading.undecided.includes(id);
    const mine = reader ? findings[reader] : undefined;
    const model = comparison.models.find((one) => one.name === finding.origin?.name && one.version === finding.origin?.version);
    return (
      <FindingCard key={id} finding={finding} voice={voice} on={on} where={props.where(finding)} choose={() => props.choose(id)}>
        {mine && <p className="muted"><span className="human-word">{t("compare.tag.you")}</span> {findingTitle(text, mine)}{mine.measurements[0] && `, ${mine.measurements[0].value.toFixed(1)} ${mine.measurements[0].unit}`}</p>}
        {finding.probability && <ProbabilityBar probability={finding.probability} />}
        <p className="muted">
          <a href={href({ page: "models", name: model?.card.split("/").at(-1) ?? "" })}>
            {t("compare.model", { name: finding.origin?.name ?? "", version: finding.origin?.version ?? "", level: finding.origin?.evidence_level ?? model?.evidence_level ?? t("app.unknown") })}
          </a>
        </p>
        {asked && (props.writable
          ? <DecisionBox finding={finding} decision={decision} on={on} mode={on ? props.mode : "buttons"} busy={props.busy} withChange={props.withChange}
              setMode={(mode) => { props.choose(id); props.setMode(mode); }} decide={props.decide} />
          : decision && <p className="decided">{t(decision.choice === "accept" ? "compare.accepted" : decision.choice === "reject" ? "compare.rejected" : "compare.modified", { why: decision.reason ?? "", what: decision.modified ? findingTitle(text, decision.modified) : "" })}</p>)}
      </FindingCard>
    );
  };

  const group = (title: string, cards: ReactNode[]): ReactNode => cards.length > 0 && (
    <section>
      <h2><span>{title}</span><span>{cards.length}</span></h2>
      {cards}
    </section>
  );
  const warnings = comparison.notes.filter((note) => note.kind === "warning");
  const silent = comparison.silence.filter((one) => one.code !== "not_applicable");
  const elsewhere = comparison.silence.filter((one) => one.code === "not_applicable");
  const told = new Set(silent.map((one) => one.model)); // with the reason of their gates
  const notes = comparison.notes.filter((note) => note.kind === "information" || (note.kind === "gate" && !told.has(note.model)));
  const total = comparison.contradicted.length + comparison.model_only.length + comparison.reader_only.length + comparison.agreed.length;
  return (
    <div className="list">
      {warnings.length > 0 && (
        <section className="callout" role="note">
          <h2><span>{t("compare.warnings")}</span></h2>
          {warnings.map((note, n) => <p key={n}>{note.text} <span className="muted">{note.model}</span></p>)}
        </section>
      )}
      {total === 0 && <p className="muted">{t("compare.nobody")}</p>}
      {group(t("compare.contradicted"), comparison.contradicted.map(({ reader, model }) => machine(model, reader, "machine")))}
      {group(t("compare.model_only"), comparison.model_only.map((id) => machine(id, null, "machine")))}
      {group(t("compare.reader_only"), comparison.reader_only.flatMap((id) => {
        const finding = findings[id];
        if (!finding) return [];
        return [
          <FindingCard key={id} finding={finding} voice="human" on={id === selected} where={props.where(finding)} choose={() => props.choose(id)}>
            <p className="muted">{t("compare.not_looked")}</p>
          </FindingCard>,
        ];
      }))}
      {group(t("compare.agreed"), comparison.agreed.map(({ reader, model }) => machine(model, reader, "agreed")))}
      {comparison.silence.length > 0 && (
        <section className="silence">
          <h2><span>{t("compare.silence")}</span></h2>
          {silent.map((one) => <p key={`${one.model}/${one.code}`}>{t(`silence.${one.code}`, { model: one.model, text: capital(language, one.text) })}</p>)}
          {elsewhere.length > 0 && (
            <details>
              <summary>{t("silence.elsewhere", { n: elsewhere.length })}</summary>
              {elsewhere.map((one) => <p key={one.model}>{t("silence.not_applicable", { model: one.model, text: capital(language, one.text) })}</p>)}
            </details>
          )}
        </section>
      )}
      {notes.length > 0 && (
        <section className="silence">
          <h2><span>{t("compare.notes")}</span></h2>
          {notes.map((note, n) => <p key={n}>{note.model}: {note.text}</p>)}
        </section>
      )}
    </div>
  );
}
