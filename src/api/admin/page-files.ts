// The files of the page at --admin that are embedded in the program.

import htm from "../../../node_modules/htm/dist/htm.mjs" with { type: "text" };
import preact from "../../../node_modules/preact/dist/preact.mjs" with { type: "text" };
import hooks from "../../../node_modules/preact/hooks/dist/hooks.mjs" with { type: "text" };
import address from "./page/address.js" with { type: "text" };
import app from "./page/app.js" with { type: "text" };
import asking from "./page/asking.js" with { type: "text" };
import certificates from "./page/certificates.js" with { type: "text" };
import changeLines from "./page/change-lines.js" with { type: "text" };
import coloursCss from "./page/colours.css" with { type: "text" };
import curveJs from "./page/curve.js" with { type: "text" };
import empty from "./page/empty.js" with { type: "text" };
import explanation from "./page/explanation.js" with { type: "text" };
import failureLines from "./page/failure-lines.js" with { type: "text" };
import finder from "./page/finder.js" with { type: "text" };
import firstTheme from "./page/first-theme.js" with { type: "text" };
import head from "./page/head.js" with { type: "text" };
import htmlJs from "./page/html.js" with { type: "text" };
import iconSvg from "./page/icon.svg" with { type: "text" };
import indexHtml from "./page/index.html" with { type: "text" };
import known from "./page/known.js" with { type: "text" };
import layoutCss from "./page/layout.css" with { type: "text" };
import listJs from "./page/list.js" with { type: "text" };
import mark from "./page/mark.js" with { type: "text" };
import notRouted from "./page/not-routed.js" with { type: "text" };
import notices from "./page/notices.js" with { type: "text" };
import numbers from "./page/numbers.js" with { type: "text" };
import partsCss from "./page/parts.css" with { type: "text" };
import plot from "./page/plot.js" with { type: "text" };
import routeTable from "./page/route-table.js" with { type: "text" };
import routeView from "./page/route-view.js" with { type: "text" };
import routesView from "./page/routes-view.js" with { type: "text" };
import routesCss from "./page/routes.css" with { type: "text" };
import rows from "./page/rows.js" with { type: "text" };
import search from "./page/search.js" with { type: "text" };
import theme from "./page/theme.js" with { type: "text" };
import traffic from "./page/traffic.js" with { type: "text" };
import watchJs from "./page/watch.js" with { type: "text" };

/** The page itself. Bun's types take HTML for a page that Bun serves. */
export const INDEX = indexHtml as unknown as string;

/** The other files, by their names below `page/`. */
export const PAGE_FILES: Readonly<Record<string, string>> = {
  "address.js": address,
  "app.js": app,
  "asking.js": asking,
  "certificates.js": certificates,
  "change-lines.js": changeLines,
  "colours.css": coloursCss,
  "curve.js": curveJs,
  "empty.js": empty,
  "explanation.js": explanation,
  "failure-lines.js": failureLines,
  "finder.js": finder,
  "first-theme.js": firstTheme,
  "head.js": head,
  "html.js": htmlJs,
  "icon.svg": iconSvg,
  "known.js": known,
  "layout.css": layoutCss,
  "list.js": listJs,
  "mark.js": mark,
  "not-routed.js": notRouted,
  "notices.js": notices,
  "numbers.js": numbers,
  "parts.css": partsCss,
  "plot.js": plot,
  "route-table.js": routeTable,
  "route-view.js": routeView,
  "routes-view.js": routesView,
  "routes.css": routesCss,
  "rows.js": rows,
  "search.js": search,
  "theme.js": theme,
  "traffic.js": traffic,
  "watch.js": watchJs,
};

/** The libraries, by the names that the page imports them by. */
export const LIBRARIES: Readonly<Record<string, string>> = {
  htm,
  preact,
  "preact/hooks": hooks,
};
