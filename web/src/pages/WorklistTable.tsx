import { useEffect, useRef } from "react";
import type { WorklistItem } from "../api/types";
import { go, href } from "../app/route";
import { studyTime, duration, personName, useText } from "../i18n/text";
import { patientLine } from "./patient";

interface Props {
  readonly items: readonly WorklistItem[];
  readonly chosen: number;
  choose(n: number): void;
}

/** The worklist as a table; the chosen row is the one that Enter opens. */
export function WorklistTable({ items, chosen, choose }: Props) {
  const { t } = useText();
  return (
    <table>
      <thead>
        <tr>
          <th>{t("worklist.priority")}</th>
          <th>{t("worklist.patient")}</th>
          <th>{t("worklist.study")}</th>
          <th className="n">{t("worklist.waiting")}</th>
          <th>{t("worklist.why")}</th>
          <th>{t("worklist.processing")}</th>
          <th>{t("worklist.quality")}</th>
          <th className="n">{t("worklist.priors")}</th>
          <th>{t("worklist.reader")}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item, n) => (
          <Row key={item.study} item={item} on={n === chosen} choose={() => choose(n)} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ item, on, choose }: { item: WorklistItem; on: boolean; choose: () => void }) {
  const text = useText();
  const { t, language } = text;
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (on) row.current?.scrollIntoView({ block: "nearest" });
  }, [on]);
  const when = [studyTime(language, item.time), t("worklist.images", { n: item.images })].filter(Boolean).join(" · ");
  return (
    <tr ref={row} className={on ? "on" : ""} aria-selected={on} onMouseDown={choose}
      onDoubleClick={() => go({ page: "study", uid: item.study })}>
      <td><span className={`pill ${item.priority}`}>{t(`priority.${item.priority}`)}</span></td>
      <td>
        <a href={href({ page: "study", uid: item.study })} onFocus={choose}>{personName(item.patient.name) || item.patient.id || t("app.unknown")}</a>
        <p>{patientLine(text, item.patient)}</p>
      </td>
      <td>
        {item.description || item.modalities.join(", ")}
        {item.simulated && <span className="sim">{t("app.simulated")}</span>}
        <p>{when}</p>
      </td>
      <td className="n">
        {duration(language, item.waiting_s)}
        <p>{t("worklist.limit", { time: duration(language, item.limit_s) })}</p>
      </td>
      <td className="why">{item.more_images ? t("worklist.more_images") : item.reason}</td>
      <td>
        {t(`processing.${item.processing}`)}
        {item.processing === "processing" && (
          <progress max={1} value={item.progress ?? undefined} aria-label={t("processing.processing")} />
        )}
      </td>
      <td className="quality">
        {item.quality.length ? item.quality.map((note) => note.text).join("; ") : <span className="muted">{t("worklist.good")}</span>}
      </td>
      <td className="n">{item.priors}</td>
      <td>{item.reader ?? <span className="muted">{t("worklist.free")}</span>}</td>
    </tr>
  );
}
