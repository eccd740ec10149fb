import type { UseQueryResult } from "@tanstack/react-query";
import type { RefObject } from "react";
import type { Comparison, Concept, DecisionRequest, Finding, MapInfo, Reading, ReadingState, Study, VocabularyEntry } from "../api/types";
import { KeyHint } from "../app/KeyHint";
import { Problem } from "../app/Problem";
import { useText } from "../i18n/text";
import type { Measure, ViewerAction, ViewerState } from "../viewer/state";
import { AlonePanel } from "./AlonePanel";
import { ComparePanel } from "./ComparePanel";
import type { Mode } from "./DecisionBox";
import { DifferentialPanel } from "./DifferentialPanel";
import type { Draft, DraftAction } from "./draft";
import { listOrder } from "./findings";
import { MapControls } from "./MapControls";
import { MeasuresPanel } from "./MeasuresPanel";
import { PriorReportPanel } from "./PriorReportPanel";
import type { ChecksHandle } from "./ReportChecks";
import { ReportPanel } from "./ReportPanel";
import { ReportTextPanel } from "./ReportTextPanel";
import type { ReportTextHandle } from "./useReportText";

export type Tab = "findings" | "measures" | "prior" | "report" | "text" | "differential";

export interface SidePanelProps {
  readonly study: Study;
  readonly reading: Reading | undefined;
  readonly comparison: UseQueryResult<Comparison>;
  /** The comparison when it may be seen now. */
  readonly shown: Comparison | null;
  readonly draft: Draft;
  readonly own: readonly Finding[];
  readonly alone: boolean;
  readonly late: boolean;
  readonly signed: boolean;
  readonly stage: ReadingState;
  readonly writable: boolean;
  readonly selected: string | null;
  readonly editing: string | null;
  readonly mode: Mode;
  readonly tab: Tab;
  readonly busy: boolean;
  /** Whether the result is asked for while the models are still at work. */
  readonly awaited: boolean;
  readonly error: unknown;
  readonly warned: boolean;
  readonly stated: ReadonlySet<string>;
  readonly text: ReportTextHandle;
  readonly checks: ChecksHandle;
  readonly field: RefObject<HTMLInputElement | null>;
  readonly state: ViewerState;
  readonly vocabulary: readonly VocabularyEntry[];
  readonly maps: readonly MapInfo[];
  readonly map: MapInfo | null;
  dispatch(action: ViewerAction): void;
  where(finding: Finding): string;
  choose(id: string): void;
  add(concept: Concept, status: Finding["status"], comment?: string): void;
  attach(measure: Measure): void;
  decide(request: DecisionRequest): void;
  main(): void;
  change(action: DraftAction): void;
  setTab(tab: Tab): void;
  setMode(mode: Mode): void;
  edit(id: string | null): void;
  toState(id: string, stated: boolean): void;
  showNewer(): void;
  addendum(text: string): Promise<void>;
  close(): void;
}

/** Tabs with counts above, the one main action at the foot. */
export function SidePanel(props: SidePanelProps) {
  const { t } = useText();
  const { study, reading, shown, own, alone, signed, stage, tab, state } = props;
  const revealed = shown !== null;
  const count = revealed ? listOrder(shown).length : own.length;
  const measured = state.measures.length + (shown?.measurements.length ?? 0);
  const tabs: [Tab, string][] = [
    ["findings", t(revealed ? "compare.findings" : "findings.yours", { n: count })],
    ["measures", [t("measures.title"), measured || ""].join(" ").trim()],
    ["prior", t("prior.title")],
    ...(revealed ? [["report", t("report.title")] satisfies [Tab, string]] : []),
    ["text", t("text.title")],
    ["differential", t("differential.title")],
  ];
  return (
    <aside className="side" aria-label={t("reading.panel")}>
      <div className="tabs" role="tablist" aria-label={t("reading.panel")}>
        {tabs.map(([name, title]) => (
          <button key={name} role="tab" id={`tab-${name}`} aria-selected={name === tab} aria-controls="tab-panel" onClick={() => props.setTab(name)}>{title}</button>
        ))}
        <button className="drawer-button" onClick={props.close}>{t("app.close")}</button>
      </div>
      <div className="tab-panel" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={-1}>
        <Notices {...props} />
        {tab === "findings" && (revealed ? (
          <ComparePanel comparison={shown} reading={reading!} withChange={study.priors.length > 0} writable={props.writable && !signed}
            selected={props.selected} mode={props.mode} busy={props.busy} where={props.where} choose={props.choose} setMode={props.setMode} decide={props.decide} />
        ) : (
          <AlonePanel study={study} findings={own} vocabulary={props.vocabulary} field={props.field} selected={props.selected}
            editing={props.editing} writable={props.writable && alone} where={props.where} choose={props.choose} edit={props.edit} add={props.add}
            put={(finding) => props.change({ do: "put", finding })} remove={(id) => props.change({ do: "remove", id })} />
        ))}
        {tab === "measures" && (
          <MeasuresPanel measures={state.measures} comparison={shown} stated={props.stated} writable={props.writable && !signed}
            canAttach={alone && props.selected !== null} state={props.toState} attach={props.attach} remove={(id) => props.dispatch({ do: "unmeasure", id })} />
        )}
        {tab === "prior" && <PriorReportPanel priors={study.priors} />}
        {tab === "text" && <ReportTextPanel study={study} own={props.text} checks={props.checks} />}
        {tab === "differential" && <DifferentialPanel study={study} own={own} typed={props.text.text} />}
        {tab === "report" && reading && (
          <ReportPanel uid={study.study} reading={reading} comparison={shown} stated={props.stated} writable={props.writable}
            text={props.text} checks={props.checks} toText={() => props.setTab("text")} addendum={props.addendum} />
        )}
      </div>
      <Foot {...props} revealed={revealed} stage={stage} />
    </aside>
  );
}

/** What the reader should know before going on; stays as long as it is true. */
function Notices({ study, reading, comparison, shown, late, signed, error, showNewer, busy, writable }: SidePanelProps) {
  const { t } = useText();
  return (
    <>
      {!study.reading.can_read && study.reading.read_only_reason && <p className="notice">{t("reading.readonly", { why: study.reading.read_only_reason })}</p>}
      {late && <p className="notice">{t("reading.more_images")}</p>}
      {signed && reading?.more_images && <p className="notice">{t("reading.more_signed")}</p>}
      {shown?.stale && !signed && (
        <div className="notice">
          <p>{t("reading.stale")}</p>
          {writable && <button disabled={busy} onClick={showNewer}>{t("reading.show_newer")}</button>}
        </div>
      )}
      {error !== null && <Problem error={error} />}
      {comparison.error && <Problem error={comparison.error} retry={() => void comparison.refetch()} />}
      {comparison.isLoading && <p className="notice" role="status">{t("app.loading")}</p>}
    </>
  );
}

/** The one main action of the step, what it does, and why it can't be done yet. */
function Foot(props: SidePanelProps & { revealed: boolean }) {
  const { t } = useText();
  const { reading, alone, late, signed, stage, tab, revealed, writable, busy, awaited, warned, main } = props;
  const left = reading?.undecided.length ?? 0;
  return (
    <div className="foot">
      {revealed && <MapControls maps={props.maps} map={props.map} machine={props.state.machine} dispatch={props.dispatch} />}
      {writable && alone && (
        <>
          <p className="muted" role={warned ? "alert" : undefined}>{t(warned ? "commit.empty" : "commit.what")}</p>
          <button className="primary" disabled={busy} onClick={main}>{t(late ? "commit.late" : "commit.do")} <KeyHint action="main" /></button>
        </>
      )}
      {writable && stage === "read_alone" && !late && (
        <>
          <p className="muted" role="status">{t(awaited ? "reveal.works" : "reveal.what")}</p>
          <button className="primary" disabled={busy} onClick={main}>{t("reveal.do")} <KeyHint action="main" /></button>
        </>
      )}
      {writable && revealed && stage === "ai_shown" && <button disabled>{t("compare.left", { n: left })}</button>}
      {writable && revealed && stage === "reconciled" && tab !== "report" && (
        <button className="primary" onClick={main}>{t("compare.to_report")} <KeyHint action="main" /></button>
      )}
      {writable && revealed && stage === "reconciled" && tab === "report" && (
        <>
          <p className="muted">{t("sign.what")}</p>
          {props.checks.open > 0 ? <button disabled>{t("sign.checks", { n: props.checks.open })}</button> : (
            <button className="primary" disabled={busy} onClick={main}>{t("sign.do")} <KeyHint action="main" /></button>
          )}
        </>
      )}
      {signed && <p className="muted">{t("sign.done")}</p>}
    </div>
  );
}
