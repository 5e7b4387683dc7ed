// The templates and partials that are embedded in the program.

import accessLog from "../../templates/access-log.hbs" with { type: "text" };
import cookies from "../../templates/cookies.hbs" with { type: "text" };
import challenges from "../../templates/challenges.hbs" with { type: "text" };
import clients from "../../templates/clients.hbs" with { type: "text" };
import climbing from "../../templates/climbing.hbs" with { type: "text" };
import mended from "../../templates/mended.hbs" with { type: "text" };
import trusted from "../../templates/trusted.hbs" with { type: "text" };
import misdirected from "../../templates/misdirected.hbs" with { type: "text" };
import tls from "../../templates/tls.hbs" with { type: "text" };
import toHttps from "../../templates/to-https.hbs" with { type: "text" };
import wayBack from "../../templates/way-back.hbs" with { type: "text" };
import backends from "../../templates/backends.hbs" with { type: "text" };
import fcgi from "../../templates/fcgi.hbs" with { type: "text" };
import fcgiApp from "../../templates/fcgi-app.hbs" with { type: "text" };
import fcgiBackend from "../../templates/fcgi-backend.hbs" with { type: "text" };
import reserve from "../../templates/reserve.hbs" with { type: "text" };
import errors from "../../templates/errors.hbs" with { type: "text" };
import defaults from "../../templates/defaults.hbs" with { type: "text" };
import forgottenPrefix from "../../templates/forgotten-prefix.hbs" with { type: "text" };
import entrance from "../../templates/entrance.hbs" with { type: "text" };
import frontend from "../../templates/frontend.hbs" with { type: "text" };
import global from "../../templates/global.hbs" with { type: "text" };
import unanswered from "../../templates/unanswered.hbs" with { type: "text" };
import networks from "../../templates/networks.hbs" with { type: "text" };
import index from "../../templates/index.hbs" with { type: "text" };
import once from "../../templates/once.hbs" with { type: "text" };
import ownErrors from "../../templates/own-errors.hbs" with { type: "text" };
import reply from "../../templates/reply.hbs" with { type: "text" };
import rules from "../../templates/rules.hbs" with { type: "text" };
import answers from "../../templates/answers.hbs" with { type: "text" };
import auth from "../../templates/auth.hbs" with { type: "text" };
import upgrades from "../../templates/upgrades.hbs" with { type: "text" };
import users from "../../templates/users.hbs" with { type: "text" };
import headers from "../../templates/headers.hbs" with { type: "text" };
import redirect from "../../templates/redirect.hbs" with { type: "text" };
import kept from "../../templates/kept.hbs" with { type: "text" };
import rate from "../../templates/rate.hbs" with { type: "text" };
import body from "../../templates/body.hbs" with { type: "text" };
import cors from "../../templates/cors.hbs" with { type: "text" };
import tcp from "../../templates/tcp.hbs" with { type: "text" };
import tcpProfile from "../../templates/tcp-profile.hbs" with { type: "text" };
import profile from "../../templates/profile.hbs" with { type: "text" };
import path from "../../templates/path.hbs" with { type: "text" };
import waiting from "../../templates/waiting.hbs" with { type: "text" };
import times from "../../templates/times.hbs" with { type: "text" };
import wildcards from "../../templates/wildcards.hbs" with { type: "text" };

export const TEMPLATE_NAMES = ["path", "host"] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** The complete templates by name. One does both: what it writes depends on the routes. */
export const TEMPLATES: Readonly<Record<TemplateName, string>> = { path, host: path };

/** The partials that any template may include with `{{> name}}`. */
export const PARTIALS: Readonly<Record<string, string>> = {
  "access-log": accessLog,
  global,
  defaults,
  frontend,
  answers,
  auth,
  backends,
  body,
  challenges,
  clients,
  climbing,
  cookies,
  cors,
  entrance,
  errors,
  fcgi,
  "fcgi-app": fcgiApp,
  "fcgi-backend": fcgiBackend,
  reserve,
  "forgotten-prefix": forgottenPrefix,
  headers,
  index,
  kept,
  mended,
  misdirected,
  networks,
  once,
  "own-errors": ownErrors,
  profile,
  rate,
  redirect,
  reply,
  rules,
  tcp,
  "tcp-profile": tcpProfile,
  times,
  tls,
  "to-https": toHttps,
  trusted,
  unanswered,
  upgrades,
  users,
  waiting,
  "way-back": wayBack,
  wildcards,
};
