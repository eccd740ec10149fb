import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import { PageHeader } from "../app/PageHeader";
import { Problem } from "../app/Problem";
import { dayAndTime, useText } from "../i18n/text";
import { UploadArea } from "./UploadArea";

const ROLES = ["refused", "quarantined", "duplicate", "image", "object", "all"] as const;

/** What became of every file that was handed in, and the place to hand in more. */
export function IntakePage() {
  const { t, language } = useText();
  const [role, setRole] = useState<(typeof ROLES)[number]>("refused");
  const list = useInfiniteQuery({
    queryKey: ["intake", role],
    queryFn: ({ pageParam }) => api.intake(role === "all" ? "" : role, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const entries = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="wl">
      <PageHeader />
      <UploadArea visible done={() => void list.refetch()}>
        <div className="filters">
          <h1>{t("intake.title")}</h1>
          <div role="group" aria-label={t("intake.role")} className="choices">
            {ROLES.map((name) => (
              <button key={name} aria-pressed={name === role} onClick={() => setRole(name)}>{t(`intake.${name}`)}</button>
            ))}
          </div>
        </div>
      </UploadArea>
      <main className="table" id="content">
        {list.isPending && <p className="state" role="status">{t("app.loading")}</p>}
        {list.error && <Problem error={list.error} retry={() => void list.refetch()} />}
        {list.data && entries.length === 0 && <p className="state">{t("intake.none")}</p>}
        {entries.length > 0 && (
          <table>
            <thead>
              <tr>
                <th>{t("intake.role")}</th>
                <th>{t("intake.path")}</th>
                <th>{t("intake.reason")}</th>
                <th>{t("intake.when")}</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={entry.id}>
                  <td><span className={`pill ${entry.role}`}>{t(`intake.${entry.role}`)}</span></td>
                  <td className="path">{entry.path}</td>
                  <td className="why">{[entry.reason || t("intake.kept"), ...entry.marks].join("; ")}</td>
                  <td>{dayAndTime(language, entry.at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {list.hasNextPage && (
          <button className="more" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t("app.more")}
          </button>
        )}
      </main>
      <footer className="status"><span>{list.data && t("worklist.shown", { n: entries.length, total: list.data.pages[0]!.total })}</span></footer>
    </div>
  );
}
