/** A patient in one line. */
import type { Study } from "../api/types";
import type { Text } from "../i18n/text";

export function patientLine({ t }: Text, patient: Study["patient"]): string {
  const age = patient.age === null ? null : t("patient.age", { n: Math.floor(patient.age) });
  return [age, patient.sex].filter(Boolean).join(" · ");
}
