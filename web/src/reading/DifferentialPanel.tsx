import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import type { Differential, DifferentialRequest, Finding, Study } from "../api/types";
import { Problem } from "../app/Problem";
import { capital, fixed, probabilityWords, useText } from "../i18n/text";
import { inSight } from "./GuidelineBox";
import { areaOf, seenIn, sentences, type Seen } from "./reportText";
import { patientOf, useSettled, useTextStructure } from "./useTextStructure";

interface Props {
  readonly study: Study;
  /** The reader's own findings: none of a model. */
  readonly own: readonly Finding[];
  readonly typed: string;
}

/** Ranked diagnoses from what the reader found and wrote; the same before and after the reveal. */
export function DifferentialPanel({ study, own, typed }: Props) {
  const { t, language } = useText();
  const areas = useQuery({ queryKey: ["areas", language], queryFn: () => api.areas(language), staleTime: Infinity });
  const [picked, setPicked] = useState<string | null>(null);
  const [setting, setSetting] = useState("general");
  const [changed, setChanged] = useState<Readonly<Record<string, "" | "seen" | "not_seen">>>({});
  const answer = useMutation({ mutationFn: (request: DifferentialRequest) => api.differential(request, language) });
  const texts = [useTextStructure(study, useSettled(sentences(own))).data, useTextStructure(study, useSettled(typed)).data];
  const said = [own.length > 0 ? texts[0] : undefined, typed.trim() ? texts[1] : undefined];
  const known = areas.data ?? [];
  const area = known.find((one) => one.area === (picked ?? areaOf(known, said)));
  const prefilled: Seen = area ? seenIn(area.area, said) : {};
  const valueOf = (name: string) => changed[`${area!.area}/${name}`] ?? (prefilled[name] === undefined ? "" : prefilled[name] ? "seen" : "not_seen");
  const request = (): DifferentialRequest => ({
    area: area!.area, setting: area!.settings.includes(setting) ? setting : "general", ...patientOf(study),
    findings: Object.fromEntries(area!.findings.flatMap(({ name }) => (valueOf(name) === "" ? [] : [[name, valueOf(name) === "seen"] as const]))),
  });
  const stale = answer.data && area && JSON.stringify(answer.variables) !== JSON.stringify(request());
  return (
    <div className="list">
      <p className="muted">{t("differential.what")}</p>
      {areas.isPending && <p className="muted" role="status">{t("app.loading")}</p>}
      {areas.error && <Problem error={areas.error} retry={() => void areas.refetch()} />}
      <label>{t("differential.area")}
        <select value={area?.area ?? ""} onChange={(event) => setPicked(event.target.value)}>
          <option value="" />
          {known.map((one) => <option key={one.area} value={one.area}>{one.title}</option>)}
        </select>
      </label>
      {area && (
        <form className="list differential" onSubmit={(event) => { event.preventDefault(); answer.mutate(request()); }}>
          <label>{t("differential.setting")}
            <select value={area.settings.includes(setting) ? setting : "general"} onChange={(event) => setSetting(event.target.value)}>
              {area.settings.map((one) => <option key={one} value={one}>{area.words[one] ?? one}</option>)}
            </select>
          </label>
          {area.findings.map(({ name, says }) => (
            <label key={name} className="row"><span>{capital(language, says)}</span>
              <select value={valueOf(name)} onChange={(event) => setChanged({ ...changed, [`${area.area}/${name}`]: event.target.value as "" })}>
                <option value="">{t("differential.unknown")}</option>
                <option value="seen">{t("differential.seen")}</option>
                <option value="not_seen">{t("differential.not_seen")}</option>
              </select>
            </label>
          ))}
          <button type="submit" disabled={answer.isPending}>{t("differential.ask")}</button>
        </form>
      )}
      {answer.error && <Problem error={answer.error} />}
      {stale && <p className="notice plain" role="status">{t("differential.stale")}</p>}
      {answer.data && answer.data.area === area?.area && <Ranking answer={answer.data} />}
    </div>
  );
}

/** Diagnoses with their interval, what raised and lowered them, and what to look for next. */
function Ranking({ answer }: { answer: Differential }) {
  const { t, language } = useText();
  const p = (value: number) => probabilityWords(language, value);
  return (
    <>
      <ol className="ranking" aria-label={answer.title}>
        {answer.rows.map((row, n) => (
          <li key={row.diagnosis} className="card" data-diagnosis={row.diagnosis} ref={n === 0 ? inSight : undefined}>
            <h3>{capital(language, row.says)} <small>{row.cannot_miss && t("differential.cannot_miss")}</small></h3>
            <p className="num"><b>{p(row.posterior)}</b> <span>{t("differential.interval", { low: p(row.low), high: p(row.high), prior: p(row.prior) })}</span></p>
            {row.influences.filter(({ counted }) => counted).map((one) => (
              <p key={one.finding}>{t(one.present ? "differential.influence" : "differential.influence_no", { ratio: fixed(language, one.likelihood_ratio, 2), what: one.says })}
                <small className="muted"> {t("differential.source", { source: one.source, grade: t(`grade.${one.grade}`) })}</small></p>
            ))}
          </li>
        ))}
      </ol>
      {answer.next.length > 0 && (
        <section>
          <h3>{t("differential.next")}</h3>
          <ul>{answer.next.slice(0, 3).map((one) => <li key={one.finding}>{capital(language, one.says)}</li>)}</ul>
        </section>
      )}
      {answer.notes.map((note) => <p key={note} className="muted">{note}</p>)}
    </>
  );
}
