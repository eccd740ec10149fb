import type { Prior } from "../api/types";
import { studyDay, useText } from "../i18n/text";

/** What signed reports of earlier studies state. */
export function PriorReportPanel({ priors }: { priors: readonly Prior[] }) {
  const { t, language } = useText();
  const reported = priors.filter((prior) => prior.report);
  return (
    <div className="list">
      {reported.length === 0 && <p className="muted">{t("prior.none")}</p>}
      {reported.map((prior) => (
        <article key={prior.study} className="card">
          <h3>{prior.description} <small>{studyDay(language, prior.time)}</small></h3>
          {prior.report!.sections.filter((section) => section.sentences.length > 0).map((section) => (
            <section key={section.name}>
              <h4>{section.title}</h4>
              {section.sentences.map((sentence, n) => <p key={n}>{sentence.text}</p>)}
            </section>
          ))}
          <p className="muted">{prior.report!.reader}</p>
        </article>
      ))}
    </div>
  );
}
