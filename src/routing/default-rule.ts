// The default rule: where containers are served whose labels say nothing of it, as a text in Handlebars.

import Handlebars from "handlebars";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import type { Place } from "../lib/places.ts";
import { ownName, type Container } from "../model.ts";
import { parseImage } from "./image.ts";
import { parseHost, parsePath } from "./values.ts";

/** What a rule gives for a container. */
type RuleResult = Place | { readonly reason: string };

/** Decides where a container is served. The same container gives the same place. */
export type DefaultRule = (container: Container) => RuleResult;

/** What a text in Handlebars sees of a container. What it does not have is empty. */
interface RuleContext {
  readonly container: { readonly name: string };
  readonly image: { readonly repository: string; readonly name: string; readonly tag: string };
  readonly compose: { readonly project: string; readonly service: string };
  /** The service has its name without that of its stack. */
  readonly swarm: { readonly stack: string; readonly service: string };
  readonly labels: Container["labels"];
}

/**
 * Reads a rule such as `/{{container.name}}` or `{{compose.service}}.{{compose.project}}.example.com`.
 * @throws GatewayError `usage` if it is no text in Handlebars, or names something that no container has
 */
export function parseDefaultRule(text: string): DefaultRule {
  const render = compile(text);
  const example = toContext(undefined);
  try {
    // What is misspelt is found here, and not with the first container.
    render(example);
  } catch (error) {
    const [, name] = /^"(.*)" not defined/.exec(errorMessage(error)) ?? [];
    const problem = name === undefined ? errorMessage(error) : `no container has "${name}"`;
    throw wrong(text, problem, error);
  }
  return (container) => {
    const result = render(toContext(container)).trim();
    return placeOf(result) ?? { reason: `--default-rule gives ${JSON.stringify(result)}` };
  };
}

function compile(text: string): (context: RuleContext) => string {
  try {
    const render = Handlebars.compile<RuleContext>(text, { noEscape: true, strict: true });
    // It is parsed when it is first used.
    return (context) => render(context);
  } catch (error) {
    throw wrong(text, errorMessage(error), error);
  }
}

function wrong(text: string, problem: string, cause: unknown): GatewayError {
  const [first = ""] = problem.split("\n");
  return new GatewayError("usage", `Cannot use --default-rule "${text}": ${first}`, {
    hint: "such as '/{{container.name}}' or '{{compose.service}}.example.com'",
    cause,
  });
}

/** A host, a path, or a host with a path. All of the gateway's port is no container's by a rule. */
function placeOf(text: string): Place | undefined {
  const slash = text.includes("/") ? text.indexOf("/") : text.length;
  const [hostText, pathText] = [text.slice(0, slash), text.slice(slash)];
  const host = hostText === "" ? "" : parseHost(hostText);
  const path = pathText === "" ? "/" : parsePath(pathText);
  if (host === undefined || path === undefined || (host === "" && path === "/")) return undefined;
  return { host, path };
}

function toContext(container: Container | undefined): RuleContext {
  const { name = "", image = "", imageId, labels = {} } = container ?? {};
  const reference = parseImage(image, imageId);
  const { repository, tag } = "reason" in reference ? { repository: "", tag: "" } : reference;
  return {
    container: { name: ownName({ name }) },
    image: { repository, name: repository.slice(repository.lastIndexOf("/") + 1), tag },
    compose: {
      project: labels["com.docker.compose.project"] ?? "",
      service: labels["com.docker.compose.service"] ?? "",
    },
    swarm: swarmOf(labels),
    // A label that a container does not have is empty, and no mistake in the rule.
    labels: withEmptyRest(labels),
  };
}

/** Docker names the services of a stack `STACK_SERVICE`. Source: `docker stack deploy`. */
function swarmOf(labels: Container["labels"]): RuleContext["swarm"] {
  const stack = labels["com.docker.stack.namespace"] ?? "";
  const service = labels["com.docker.swarm.service.name"] ?? "";
  const prefix = `${stack}_`;
  return {
    stack,
    service: stack !== "" && service.startsWith(prefix) ? service.slice(prefix.length) : service,
  };
}

function withEmptyRest(labels: Container["labels"]): Container["labels"] {
  return new Proxy(labels, {
    get: (all, key) => (typeof key === "string" && Object.hasOwn(all, key) ? all[key] : ""),
    has: () => true,
    getOwnPropertyDescriptor: (all, key) => ({
      value: typeof key === "string" && Object.hasOwn(all, key) ? all[key] : "",
      configurable: true,
      enumerable: true,
      writable: false,
    }),
  });
}
