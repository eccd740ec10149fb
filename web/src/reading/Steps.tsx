import { useText } from "../i18n/text";

export type Step = "alone" | "compare" | "report" | "sign";
const STEPS: readonly Step[] = ["alone", "compare", "report", "sign"];

/** Where in the reading one is; always in sight. */
export function Steps({ now, done }: { now: Step; done: boolean }) {
  const { t } = useText();
  const at = STEPS.indexOf(now);
  return (
    <ol className="steps" aria-label={t("step.list")}>
      {STEPS.map((step, n) => (
        <li key={step} className={n < at || done ? "done" : n === at ? "now" : ""} aria-current={n === at && !done ? "step" : undefined}>
          {t(`step.${step}`)}
        </li>
      ))}
    </ol>
  );
}
