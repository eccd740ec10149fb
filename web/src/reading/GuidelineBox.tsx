import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { Guideline, GuidelineAnswer, GuidelineInputs } from "../api/types";
import { Problem } from "../app/Problem";
import { useText } from "../i18n/text";
import { inputValue, inputWords } from "./reportText";

export interface GuidelineChoice {
  readonly name: string;
  readonly inputs: GuidelineInputs;
}

/** A guideline, its inputs as far as the text gives them, and what it says on demand. */
export function GuidelineBox({ choice, choose }: { choice: GuidelineChoice | null; choose: (choice: GuidelineChoice | null) => void }) {
  const { t, language } = useText();
  const known = useQuery({ queryKey: ["guidelines", language], queryFn: () => api.guidelines(language), staleTime: Infinity });
  const guideline = known.data?.find(({ name }) => name === choice?.name);
  return (
    <section>
      <h2>{t("guideline.title")}</h2>
      {known.error && <Problem error={known.error} retry={() => void known.refetch()} />}
      <label>{t("guideline.choose")}
        <select value={choice?.name ?? ""} onChange={(event) => choose(event.target.value ? { name: event.target.value, inputs: {} } : null)}>
          <option value="" />
          {known.data?.map(({ name, version }) => <option key={name} value={name}>{`${name.replaceAll("_", " ")} ${version}`}</option>)}
        </select>
      </label>
      {guideline && <Questions key={JSON.stringify(choice)} guideline={guideline} given={choice!.inputs} />}
    </section>
  );
}

/** The inputs of one guideline and its answer; begins anew with every choice. */
function Questions({ guideline, given }: { guideline: Guideline; given: GuidelineInputs }) {
  const { t, language } = useText();
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>(
    () => Object.fromEntries(Object.entries<GuidelineInputs[string]>(given).map(([name, value]) => [name, inputWords(value)])),
  );
  const answer = useMutation({ mutationFn: (inputs: GuidelineInputs) => api.guideline(guideline.name, inputs, language) });
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // chosen beside a finding: go on here; chosen in the list: stay there
    if (Object.keys(given).length > 0) form.current?.querySelector("input")?.focus();
  }, [given]);
  const ask = () => answer.mutate(Object.fromEntries(Object.entries(typed).flatMap(([name, words]) => {
    const value = inputValue(words);
    return value === undefined ? [] : [[name, value] as const];
  })));
  return (
    <>
      <form ref={form} className="finding-form" onSubmit={(event) => { event.preventDefault(); ask(); }}>
        <p className="muted wide">{t("guideline.inputs")}</p>
        {guideline.inputs.map((name) => (
          <label key={name}>{guideline.words[name] ?? name}
            <input type="text" value={typed[name] ?? ""} onChange={(event) => setTyped({ ...typed, [name]: event.target.value })} />
          </label>
        ))}
        <div className="act"><button type="submit" disabled={answer.isPending}>{t("guideline.ask")}</button></div>
      </form>
      {answer.error && <Problem error={answer.error} />}
      {answer.data && <Answer answer={answer.data} />}
    </>
  );
}

/** Brings what was asked for into sight. */
export const inSight = (element: HTMLElement | null): void => element?.scrollIntoView({ block: "nearest" });

function Answer({ answer }: { answer: GuidelineAnswer }) {
  const { t } = useText();
  return (
    <div className="notice plain" role="status" data-guideline={answer.system} ref={inSight}>
      {answer.not_applicable !== null && <p>{t("guideline.outside", { why: answer.not_applicable })}</p>}
      {answer.missing.length > 0 && <p>{t("guideline.missing", { names: answer.missing.map((name) => answer.words[name] ?? name).join(", ") })}</p>}
      <dl>
        {Object.entries(answer.result).map(([name, value]) => (
          <div key={name}><dt>{answer.words[name] ?? name}</dt><dd>{answer.words[inputWords(value)] ?? inputWords(value)}</dd></div>
        ))}
      </dl>
      {answer.row && <p>{t("guideline.row", { row: answer.row })}</p>}
      {answer.notes.map((note) => <p key={note}>{note}</p>)}
      <p className="muted" lang="en">{`${answer.system.replaceAll("_", " ")} ${answer.version}, ${answer.source}`}</p>
    </div>
  );
}
