import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import type { FollowUp, FollowUpState } from "../api/types";
import { PageHeader } from "../app/PageHeader";
import { Problem, problemWords } from "../app/Problem";
import { href } from "../app/route";
import { capital, examWords, personName, studyDay, useText } from "../i18n/text";

const FILTERS: readonly (FollowUpState | "all")[] = ["overdue", "due", "waiting", "done", "all"];

/** What signed reports ask for: the overdue first, each closed by the next examination that fits. */
export function FollowUpPage() {
  const { t } = useText();
  const queries = useQueryClient();
  const [filter, setFilter] = useState<(typeof FILTERS)[number]>("all");
  const list = useInfiniteQuery({
    queryKey: ["follow-up", filter],
    queryFn: ({ pageParam }) => api.followUp(filter === "all" ? "" : filter, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: (before) => before,
  });
  const first = list.data?.pages[0];
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const counts = first && { ...first.counts, all: Object.values(first.counts).reduce((sum, n) => sum + n, 0) };
  return (
    <div className="wl">
      <PageHeader />
      <div className="filters">
        <h1>{t("follow.title")}</h1>
        <div role="group" aria-label={t("follow.filter")} className="choices">
          {FILTERS.map((name) => (
            <button key={name} aria-pressed={name === filter} onClick={() => setFilter(name)}>{t(`follow.${name}`, { n: counts?.[name] ?? "…" })}</button>
          ))}
        </div>
      </div>
      <main className="table" id="content">
        {list.isPending && <p className="state" role="status">{t("app.loading")}</p>}
        {list.error && <Problem error={list.error} retry={() => void list.refetch()} />}
        {first && items.length === 0 && <p className="state">{t("follow.none")}</p>}
        {items.length > 0 && (
          <table>
            <thead>
              <tr>
                <th>{t("follow.state")}</th>
                <th>{t("worklist.patient")}</th>
                <th>{t("follow.what")}</th>
                <th>{t("follow.when")}</th>
                <th>{t("follow.asked")}</th>
                <th>{t("follow.outcome")}</th>
              </tr>
            </thead>
            <tbody>
              {items.map((item) => <Row key={item.id} item={item} closed={() => void queries.invalidateQueries({ queryKey: ["follow-up"] })} />)}
            </tbody>
          </table>
        )}
        {list.hasNextPage && (
          <button className="more" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t("app.more")}</button>
        )}
      </main>
      <footer className="status"><span>{first && t("worklist.shown", { n: items.length, total: first.total })}</span></footer>
    </div>
  );
}

function Row({ item, closed }: { item: FollowUp; closed: () => void }) {
  const text = useText();
  const { t, language } = text;
  const [open, setOpen] = useState(false);
  const day = (iso: string | null): string => studyDay(language, iso);
  return (
    <tr data-follow-up={item.state}>
      <td><span className={`pill ${item.state}`}>{t(`follow_state.${item.state}`)}</span></td>
      <td>{personName(item.patient)} <small className="muted">{item.patient_id}</small></td>
      <td>{capital(language, examWords(text, item.what))}</td>
      <td>{item.earliest && item.latest ? (item.earliest === item.latest ? day(item.earliest) : t("follow.between", { from: day(item.earliest), to: day(item.latest) })) : t("follow.no_time")}</td>
      <td><a href={href({ page: "study", uid: item.study })}>{item.description}</a> <small className="muted">{day(item.asked_on)}, {item.reader}</small></td>
      <td>
        {item.done_by && <a href={href({ page: "study", uid: item.done_by })}>{t("follow.done_by", { day: day(item.done_on) })}</a>}
        {!item.done_by && item.closed_by && t("follow.closed_by", { who: item.closed_by, why: item.closed_why })}
        {item.state !== "done" && !open && <button onClick={() => setOpen(true)}>{t("follow.close")}</button>}
        {open && item.state !== "done" && <CloseForm item={item} cancel={() => setOpen(false)} closed={closed} />}
      </td>
    </tr>
  );
}

function CloseForm({ item, cancel, closed }: { item: FollowUp; cancel: () => void; closed: () => void }) {
  const text = useText();
  const { t } = text;
  const [why, setWhy] = useState("");
  const [error, setError] = useState<unknown>(null);
  return (
    <form onSubmit={(event) => { event.preventDefault(); api.closeFollowUp(item.id, why.trim()).then(closed, setError); }}
      onKeyDown={(event) => event.key === "Escape" && cancel()}>
      <label>{t("follow.why")}
        <input autoFocus className="field" value={why} onChange={(event) => setWhy(event.target.value)} />
      </label>
      {error !== null && <p role="alert">{problemWords(text, error)}</p>}
      <div className="act">
        <button type="submit" className="primary" disabled={why.trim() === ""}>{t("follow.do_close")}</button>
        <button type="button" onClick={cancel}>{t("app.cancel")}</button>
      </div>
    </form>
  );
}
