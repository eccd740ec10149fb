import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import type { ReportTemplate } from "../api/types";
import { useText } from "../i18n/text";

/** A choice of report templates, those of the study's modality first, to be put into the reader's text. */
export function ReportTemplates({ modalities, put }: { modalities: readonly string[]; put: (template: ReportTemplate) => void }) {
  const { t, language } = useText();
  const found = useQuery({ queryKey: ["report-templates", language], queryFn: () => api.reportTemplates(language), staleTime: Infinity });
  const [name, setName] = useState("");
  const fits = (one: ReportTemplate): boolean => modalities.includes(one.modality) || (one.modality === "DX" && modalities.includes("CR"));
  const sorted = [...(found.data ?? [])].sort((a, b) => Number(fits(b)) - Number(fits(a)));
  const chosen = sorted.find((one) => one.name === name) ?? sorted[0];
  if (!chosen) return null;
  return (
    <div className="row templates">
      <select className="field" aria-label={t("text.template")} value={chosen.name} onChange={(event) => setName(event.target.value)}>
        {sorted.map((one) => <option key={one.name} value={one.name}>{one.title}</option>)}
      </select>
      <button onClick={() => put(chosen)}>{t("text.put")}</button>
    </div>
  );
}
