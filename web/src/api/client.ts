/** Every call of the page to the server: JSON in and out, problems as errors, versions as ETags. */
import type {
  Card, Comparison, DecisionRequest, Differential, DifferentialArea, DifferentialRequest, DismissRequest, Export, Finding, FollowUpPage,
  FollowUpState, Guideline, GuidelineAnswer,
  GuidelineInputs, IntakePage, Job, Language, Me, Problem, Reading, Report, ReportCheck, ReportTemplate,
  ReportText, Section, Study, TemplateUse, TextStructure, VocabularyEntry, Worklist, WorklistFilter,
} from "./types";

/** Where the server is: beside the page, on one origin. */
export const ROOT = new URL(".", document.baseURI).pathname;
const API = `${ROOT}api/v1`;

/** An answer that is no success: what came, what was expected, what to do. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly problem: Partial<Problem>) {
    super(problem.detail ?? problem.title ?? String(status));
  }
}

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(path.startsWith("/") ? path : `${API}/${path}`, { credentials: "same-origin", ...init });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ title: response.statusText, status: response.status }));
  throw new ApiError(response.status, problem as Partial<Problem>);
}

const json = async <T>(path: string, init?: RequestInit): Promise<T> => (await call(path, init)).json() as Promise<T>;

function body(method: string, value: unknown, version?: number): RequestInit {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  return { method, headers, body: JSON.stringify(value) };
}

const study = (uid: string): string => `studies/${encodeURIComponent(uid)}`;

function query(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
}

export const api = {
  me: () => json<Me>("me"),
  worklist: (filter: WorklistFilter, q: string, cursor?: string) =>
    json<Worklist>(`worklist?${query({ filter, q, cursor, limit: 50 })}`),
  study: (uid: string) => json<Study>(study(uid)),
  open: (uid: string) => json<Reading>(`${study(uid)}/reading`, { method: "POST" }),
  reading: (uid: string) => json<Reading>(`${study(uid)}/reading`),
  saveDraft: (uid: string, findings: Finding[], version: number) =>
    json<{ version: number }>(`${study(uid)}/reading/draft`, body("PUT", { findings }, version)),
  commit: (uid: string, findings: Finding[], version: number) =>
    json<Reading>(`${study(uid)}/reading/commit`, body("POST", { findings }, version)),
  /** What the models found, or null while they are at work. */
  reveal: (uid: string) => json<Comparison>(`${study(uid)}/reading/reveal`, { method: "POST" }).catch((problem: unknown) => {
    if (problem instanceof ApiError && problem.status === 503) return null;
    throw problem;
  }),
  comparison: (uid: string) => json<Comparison>(`${study(uid)}/comparison`),
  decide: (uid: string, decision: DecisionRequest, version: number) =>
    json<Reading>(`${study(uid)}/reading/decisions`, body("POST", decision, version)),
  report: (uid: string, language: Language) => json<Report>(`${study(uid)}/report?${query({ language })}`),
  saveReport: (uid: string, sections: Section[], measurements: string[], language: Language) =>
    call(`${study(uid)}/report/draft`, body("PUT", { sections, measurements, language })),
  reportText: (uid: string) => json<ReportText>(`${study(uid)}/report/text`),
  saveReportText: (uid: string, text: { text: string; language: ReportText["language"]; templates: TemplateUse[] }, version: number) =>
    json<ReportText>(`${study(uid)}/report/text`, body("PUT", text, version)),
  reportTemplates: (language: Language) => json<ReportTemplate[]>(`report-templates?${query({ language })}`),
  reportChecks: (uid: string, language: Language) => json<{ text: string; checks: ReportCheck[] }>(`${study(uid)}/report/checks?${query({ language })}`),
  dismissCheck: (uid: string, request: DismissRequest, version: number) =>
    json<Reading>(`${study(uid)}/report/checks/dismiss`, body("POST", request, version)),
  followUp: (state: FollowUpState | "", cursor?: string, limit?: number) => json<FollowUpPage>(`follow-up?${query({ state, cursor, limit })}`),
  closeFollowUp: (id: string, why: string) => call(`follow-up/${encodeURIComponent(id)}/close`, body("POST", { why })),
  sign: (uid: string, language: Language, version: number) =>
    json<Reading>(`${study(uid)}/reading/sign`, body("POST", { language }, version)),
  addendum: (uid: string, text: string, version: number) =>
    json<Reading>(`${study(uid)}/reading/addendum`, body("POST", { text }, version)),
  exports: (uid: string) => json<Export[]>(`${study(uid)}/exports`),
  exportUrl: (uid: string, name: string) => `${API}/${study(uid)}/exports/${encodeURIComponent(name)}`,
  vocabulary: (language: Language) => json<VocabularyEntry[]>(`vocabulary?${query({ language })}`),
  intake: (role: string, cursor?: string) => json<IntakePage>(`intake?${query({ role, cursor })}`),
  job: (id: string) => json<Job>(`jobs/${encodeURIComponent(id)}`),
  structure: (text: string, patient: Pick<DifferentialRequest, "age" | "sex">, signal?: AbortSignal) =>
    json<TextStructure>("report-text/structure", { ...body("POST", { text, language: "auto", ...patient }), signal }),
  guidelines: (language: Language) => json<Guideline[]>(`guidelines?${query({ language })}`),
  guideline: (name: string, inputs: GuidelineInputs, language: Language) =>
    json<GuidelineAnswer>(`guidelines/${encodeURIComponent(name)}?${query({ language })}`, body("POST", { inputs })),
  areas: (language: Language) => json<DifferentialArea[]>(`differential?${query({ language })}`),
  differential: (request: DifferentialRequest, language: Language) =>
    json<Differential>(`differential?${query({ language })}`, body("POST", request)),
  models: () => json<Card[]>("models"),
  /** The bytes of an address that the API gave (pixels, maps, segments). */
  bytes: async (address: string, signal?: AbortSignal) => (await call(address, { signal })).arrayBuffer(),
};

/** Send files to the intake; `progress` hears the sent part from 0 to 1. */
export function upload(files: readonly File[], progress: (part: number) => void): Promise<{ job: string }> {
  // fetch tells nothing about what has been sent, XMLHttpRequest does
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${API}/intake`);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError(0, {}));
    request.onload = () => {
      const answer = JSON.parse(request.responseText || "{}") as Partial<Problem> & { job: string };
      if (request.status < 300) resolve(answer);
      else reject(new ApiError(request.status, answer));
    };
    const form = new FormData();
    for (const file of files) form.append("files", file, file.webkitRelativePath || file.name);
    request.send(form);
  });
}
