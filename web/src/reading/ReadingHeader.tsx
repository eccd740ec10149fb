import type { Study } from "../api/types";
import { Brand } from "../app/Brand";
import { KeyHint } from "../app/KeyHint";
import { Preferences } from "../app/Preferences";
import { href } from "../app/route";
import { studyTime, personName, useText } from "../i18n/text";
import { patientLine } from "../pages/patient";
import { Steps, type Step } from "./Steps";

interface Props {
  readonly study: Study;
  readonly step: Step;
  readonly signed: boolean;
  readonly decided: number | null;
  readonly total: number;
  readonly drawer: boolean;
  openDrawer(): void;
}

/** Who, what, when; the step; the way back. */
export function ReadingHeader({ study, step, signed, decided, total, drawer, openDrawer }: Props) {
  const text = useText();
  const { t, language } = text;
  const line = [patientLine(text, study.patient), study.description, studyTime(language, study.time)].filter(Boolean).join(" · ");
  return (
    <header className="top">
      <Brand />
      <h1 className="who"><b>{personName(study.patient.name) || study.patient.id}</b><span>{line}</span></h1>
      <span className={study.simulated ? "sim" : "research"}>{study.simulated ? t("app.simulated") : t("app.research")}</span>
      <Steps now={step} done={signed} />
      <span className="end">
        <span className="muted progress-words">{decided === null || total === 0 ? t("reading.mode") : t("reading.decided", { n: decided, total })}</span>
        <Preferences />
        <button className="drawer-button" aria-expanded={drawer} onClick={openDrawer}>{t("reading.open_panel")}</button>
        <a className="button" href={href({ page: "worklist" })}>{t("app.worklist")} <KeyHint action="leave" /></a>
      </span>
    </header>
  );
}
