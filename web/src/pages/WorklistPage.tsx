import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { WorklistFilter } from "../api/types";
import { HelpDialog } from "../app/HelpDialog";
import { isTyping } from "../app/keys";
import { PageHeader } from "../app/PageHeader";
import { Problem } from "../app/Problem";
import { go, href } from "../app/route";
import { useText } from "../i18n/text";
import { UploadArea } from "./UploadArea";
import { WorklistTable } from "./WorklistTable";

const FILTERS: readonly WorklistFilter[] = ["to_read", "being_read", "signed"];

/** The studies to read in their order, found by filter, words and keys. */
export function WorklistPage() {
  const { t } = useText();
  const queries = useQueryClient();
  const [filter, setFilter] = useState<WorklistFilter>("to_read");
  const [typed, setTyped] = useState("");
  const [q, setQ] = useState("");
  const [chosen, setChosen] = useState(0);
  const [help, setHelp] = useState(false);
  const find = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const timer = setTimeout(() => setQ(typed.trim()), 250);
    return () => clearTimeout(timer);
  }, [typed]);
  useEffect(() => setChosen(0), [filter, q]);

  const list = useInfiniteQuery({
    queryKey: ["worklist", filter, q],
    queryFn: ({ pageParam }) => api.worklist(filter, q, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 15_000,
    placeholderData: (before) => before,
  });
  const first = list.data?.pages[0];
  const late = useQuery({ queryKey: ["follow-up", "overdue", "count"], queryFn: () => api.followUp("overdue", undefined, 1) }).data?.total ?? 0;
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target)) {
        if (event.key === "Escape" || event.key === "ArrowDown") (event.target as HTMLElement).blur();
        if (event.key !== "Enter") return;
      } else if (event.target instanceof HTMLElement && event.target.matches("a, button") && event.key === "Enter") return;
      const last = items.length - 1;
      if (event.key === "ArrowDown") setChosen((n) => Math.min(n + 1, last));
      else if (event.key === "ArrowUp") setChosen((n) => Math.max(n - 1, 0));
      else if (event.key === "Home") setChosen(0);
      else if (event.key === "End") setChosen(Math.max(last, 0));
      else if (event.key === "Enter" && items[chosen]) go({ page: "study", uid: items[chosen].study });
      else if (event.key === "/") find.current?.focus();
      else if (event.key === "?") setHelp(true);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [items, chosen]);

  return (
    <UploadArea done={() => void queries.invalidateQueries({ queryKey: ["worklist"] })}>
      <div className="wl">
        <PageHeader />
        <div className="filters">
          <input ref={find} className="field" type="search" value={typed} aria-label={t("worklist.find")}
            placeholder={t("worklist.find")} onChange={(event) => setTyped(event.target.value)} />
          <div role="group" aria-label={t("worklist.filter")} className="choices">
            {FILTERS.map((name) => (
              <button key={name} aria-pressed={name === filter} onClick={() => setFilter(name)}>
                {t(`worklist.${name}`, { n: first?.counts[name] ?? "…" })}
              </button>
            ))}
          </div>
          <span className="muted end">{t("worklist.order")}</span>
        </div>
        <main className="table" id="content">
          {list.isPending && <p className="state" role="status">{t("app.loading")}</p>}
          {list.error && <Problem error={list.error} retry={() => void list.refetch()} />}
          {first && items.length === 0 && (
            <p className="state">{q ? t("worklist.none", { q }) : t("worklist.empty")}</p>
          )}
          {items.length > 0 && <WorklistTable items={items} chosen={chosen} choose={setChosen} />}
          {list.hasNextPage && (
            <button className="more" disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
              {t("app.more")}
            </button>
          )}
        </main>
        <footer className="status">
          <span>{first && t("worklist.shown", { n: items.length, total: first.total })}</span>
          <span>{t("worklist.keys")}</span>
          <span className="end">
            {late > 0 && <a href={href({ page: "follow_up" })}>{t("worklist.overdue", { n: late })}</a>}
            {first && first.refused_today > 0 && (
              <a href={href({ page: "intake" })}>{t("worklist.refused", { n: first.refused_today })}</a>
            )}
          </span>
        </footer>
      </div>
      {help && <HelpDialog revealed={false} close={() => setHelp(false)} />}
    </UploadArea>
  );
}
