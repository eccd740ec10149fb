import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { api } from "../api/client";
import type { Card } from "../api/types";
import { PageHeader } from "../app/PageHeader";
import { Problem } from "../app/Problem";
import { isKey, significant, useText } from "../i18n/text";
import { CalibrationPlot } from "./CalibrationPlot";

/** The card of every model and measurement: what it is for, on what evidence, and what the site has decided. */
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
      <main className="table cards" id="content" tabIndex={0}>
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
  const mode = `mode.${card.mode}`, level = `level.${card.evidence_level}`, cause = `models.cause.${card.state_cause}`;
  const show = (value: number) => significant(language, value);
  const between = (low: number, high: number) => ` (${t("compare.interval", { low: show(low), high: show(high) })})`;
  const rows: [string, string][] = [
    [t("models.use"), card.intended_use],
    [t("models.not_for"), card.not_for],
    [t("models.mode"), isKey(mode) ? t(mode) : card.mode],
    [t("models.training"), card.training_data],
    [t("models.calibration"), card.calibration ?? ""],
    [t("models.licence"), card.licence],
    [t("models.references"), card.references.join("; ")],
  ];
  const inUse = card.operating_points.filter((point) => point.in_use);
  const plain = card.operating_points.length === 0 && card.threshold !== null ? show(card.threshold) : "";
  return (
    <article className={`model${on ? " on" : ""}`} id={`card-${card.id}`}>
      <h2>{card.name} <span className="muted">{card.version}</span></h2>
      {card.state !== "on" && (
        <p className={`standing ${card.state}`}>
          <b>{t(card.state === "off" ? "models.off" : "models.refused")}</b>
          {isKey(cause) && ` ${t(cause)}`}
          {card.state_reason && <span className="muted" lang="en"> {card.state_reason}</span>}
        </p>
      )}
      {card.evidence_level !== null && (
        <p>{t("models.level", { n: card.evidence_level, words: isKey(level) ? t(level) : "" })}</p>
      )}
      <dl>
        {card.weights !== null && <div><dt>{t("models.validation")}</dt><dd><Validation card={card} /></dd></div>}
        {(inUse.length > 0 || plain) && (
          <div>
            <dt>{t("models.threshold")}</dt>
            <dd>
              {plain}
              {inUse.map((point) => (
                <p key={point.finding}>
                  {point.finding} <b>{show(point.threshold)}</b> {t(point.source === "site" ? "models.point.site" : "models.point.card")}
                  {point.sensitivity && <> {t("models.point.sensitivity")} <b>{show(point.sensitivity.value)}</b>{between(point.sensitivity.low, point.sensitivity.high)}</>}
                  {point.specificity && <> {t("models.point.specificity")} <b>{show(point.specificity.value)}</b>{between(point.specificity.low, point.specificity.high)}</>}
                  {point.data && <span className="muted"> {t("models.cases", { n: point.cases ?? 0 })}, {point.data}, {point.date}</span>}
                </p>
              ))}
            </dd>
          </div>
        )}
        {card.curves.length > 0 && (
          <div>
            <dt>{t("models.curve")}</dt>
            <dd className="curves">
              {card.curves.map((curve) => (
                <CalibrationPlot key={`${curve.source} ${curve.data}`} curve={curve} thresholds={inUse.map((point) => point.threshold)} />
              ))}
            </dd>
          </div>
        )}
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
                  {metric.low !== null && metric.high !== null && between(metric.low, metric.high)}
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

function Validation({ card }: { card: Card }) {
  const { t, language } = useText();
  const found = card.validation;
  if (found === null) return <>{t("models.validation.none")}</>;
  const show = (value: number) => significant(language, value);
  return (
    <>
      <p>{found.date}: {t("models.cases", { n: found.cases })}, {t("models.patients", { n: found.patients })}, {found.data}</p>
      {Object.entries(found.metrics).map(([name, figure]) => (
        <p key={name}>{name} <b>{show(figure.value)}</b> ({t("compare.interval", { low: show(figure.low), high: show(figure.high) })})</p>
      ))}
    </>
  );
}
