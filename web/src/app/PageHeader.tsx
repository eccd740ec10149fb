import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client";
import { useText } from "../i18n/text";
import { Brand } from "./Brand";
import { Preferences } from "./Preferences";
import { href, useRoute } from "./route";

const PAGES = ["worklist", "follow_up", "intake", "models"] as const;

/** The bar of the pages beside the reading page. */
export function PageHeader() {
  const { t } = useText();
  const here = useRoute().page;
  const me = useQuery({ queryKey: ["me"], queryFn: api.me });
  return (
    <header className="top">
      <Brand />
      <nav className="pages" aria-label={t("app.pages")}>
        {PAGES.map((page) => (
          <a key={page} href={href({ page })} aria-current={page === here ? "page" : undefined}>
            {t(`app.${page}`)}
          </a>
        ))}
      </nav>
      <span className="research">{t("app.research")}</span>
      <span className="end">
        <Preferences />
        <span className="muted">{me.data?.name}</span>
      </span>
    </header>
  );
}
