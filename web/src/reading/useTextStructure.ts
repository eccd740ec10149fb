import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api } from "../api/client";
import type { Study } from "../api/types";

export const PAUSE_MS = 300;
export const MOST_CHARACTERS = 50_000;

/** A value as it was when it had not changed for a while. */
export function useSettled<T>(value: T, pause = PAUSE_MS): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pause);
    return () => clearTimeout(timer);
  }, [value, pause]);
  return settled;
}

/** What the server knows of the patient that a text is read with. */
export const patientOf = ({ patient }: Study): { age: number | null; sex: "F" | "M" | null } => ({
  age: patient.age, sex: patient.sex === "F" || patient.sex === "M" ? patient.sex : null,
});

/** The structure of a reader's own text. */
export function useTextStructure(study: Study, text: string) {
  const patient = patientOf(study);
  // the server counts code points, of which there are at most as many
  const asked = text.slice(0, MOST_CHARACTERS);
  return useQuery({
    queryKey: ["structure", asked, patient.age, patient.sex], queryFn: ({ signal }) => api.structure(asked, patient, signal),
    enabled: asked.trim() !== "", staleTime: Infinity, gcTime: 60_000, placeholderData: keepPreviousData,
  });
}
