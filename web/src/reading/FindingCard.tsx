import { useEffect, useRef, type ReactNode } from "react";
import type { Finding } from "../api/types";
import { significant, unitWords, useText } from "../i18n/text";
import type { Voice } from "../viewer/draw";
import { findingTitle } from "./findings";

interface Props {
  readonly finding: Finding;
  readonly voice: Voice;
  readonly on: boolean;
  /** Where it lies, in words, such as the slice. */
  readonly where: string;
  choose(): void;
  readonly children?: ReactNode;
}

/** A finding in the voice of who said it; choosing it brings every view to its place. */
export function FindingCard({ finding, voice, on, where, choose, children }: Props) {
  const text = useText();
  const { t, language } = text;
  const card = useRef<HTMLElement>(null);
  useEffect(() => {
    if (on) card.current?.scrollIntoView({ block: "nearest" });
  }, [on]);
  const size = finding.measurements[0];
  const measured = size
    ? `${significant(language, size.value)} ${unitWords(size.unit)}`
    : finding.region?.diameter_mm ? `${significant(language, finding.region.diameter_mm)} mm` : "";
  const more = [
    finding.status !== "present" && finding.status !== "absent" ? t(`status.${finding.status}`) : "",
    finding.change ? t(`change.${finding.change}`) : "",
    measured ? where : "",
    finding.comment,
  ].filter(Boolean);
  return (
    <article ref={card} className={`card ${voice}${on ? " on" : ""}`} data-finding={finding.id}>
      <h3>
        <button className="title" aria-pressed={on} onClick={choose}>{findingTitle(text, finding)}</button>
        <small>{measured || where}</small>
      </h3>
      {more.length > 0 && <p className="muted">{more.join(" · ")}</p>}
      {children}
    </article>
  );
}
