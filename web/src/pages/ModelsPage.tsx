import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { api } from "../api/client";
import type { Card } from "../api/types";
import { PageHeader } from "../app/PageHeader";
import { Problem } from "../app/Problem";
import { isKey, significant, useText } from "../i18n/text";

/** The card of every model and measurement: what it is for, and on what evidence. */
export function ModelsPage({ name }: { name?: string | undefined }) {
  const { t } = useText();
  const cards = useQuery({ queryKey: ["models"], queryFn: api.models });
  useEffect(() => {
    if (name && cards.data) document.getElementById(`card-${name}`)?.scrollIntoView();
  }, [name, cards.data]);
  return (
    <div className="wl">
      <PageHeader />
      <div className="filters"><h1>{t("models.title")}</h1></div>
      <main className="table cards" id="content">
        {cards.isPending && <p className="state" role="status">{t("app.loading")}</p>}
        {cards.error && <Problem error={cards.error} retry={() => void cards.refetch()} />}
        {cards.data?.length === 0 && <p className="state">{t("models.none")}</p>}
        {cards.data?.map((card) => <ModelCard key={card.id} card={card} on={card.id === name} />)}
      </main>
      <footer className="status" />
    </div>
  );
}

function ModelCard({ card, on }: { card: Card; on: boolean }) {
  const { t, language } = useText();
  const mode = `mode.${card.mode}`, level = `level.${card.evidence_level}`;
  const show = (value: number) => significant(language, value);
  const rows: [string, string][] = [
    [t("models.use"), card.intended_use],
    [t("models.not_for"), card.not_for],
    [t("models.mode"), isKey(mode) ? t(mode) : card.mode],
    [t("models.training"), card.training_data],
    [t("models.threshold"), card.threshold === null ? "" : show(card.threshold)],
    [t("models.calibration"), card.calibration ?? ""],
    [t("models.licence"), card.licence],
    [t("models.references"), card.references.join("; ")],
  ];
  return (
    <article className={`model${on ? " on" : ""}`} id={`card-${card.id}`}>
      <h2>{card.name} <span className="muted">{card.version}</span></h2>
      <p>{t("models.level", { n: card.evidence_level, words: isKey(level) ? t(level) : "" })}</p>
      <dl>
        {rows.filter(([, value]) => value).map(([title, value]) => (
          <div key={title}><dt>{title}</dt><dd>{value}</dd></div>
        ))}
        {card.metrics.length > 0 && (
          <div>
            <dt>{t("models.metrics")}</dt>
            <dd>
              {card.metrics.map((metric) => (
                <p key={metric.name}>
                  {metric.name} <b>{show(metric.value)}</b>
                  {metric.low !== null && metric.high !== null && ` (${t("compare.interval", { low: show(metric.low), high: show(metric.high) })})`}
                  <span className="muted"> {[metric.data, metric.date].filter(Boolean).join(", ")}</span>
                </p>
              ))}
            </dd>
          </div>
        )}
      </dl>
    </article>
  );
}
