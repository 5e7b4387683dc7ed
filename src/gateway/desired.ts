// Makes the desired state: the files that HAProxy should run, from the containers that Docker has.

import type { Build } from "../haproxy/process/check.ts";
import { UnsafeValueError } from "../template/escape.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { sameItems } from "../lib/lists.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import type { Files, Model, Reach, Service, Snapshot, TlsFiles } from "../model.ts";
import { chooseCertificates, type CertificateChoice } from "../routing/certificates.ts";
import { withClientCertificates } from "../routing/settings/client-certificates.ts";
import { withFiles } from "../routing/settings/files.ts";
import { withSigners } from "../routing/settings/signers.ts";
import { titleOf } from "../routing/intent.ts";
import { createRouter, type Router, type RoutingOptions } from "../routing/routing.ts";
import { nameOf } from "../lib/places.ts";
import { unheededGuards } from "../template/rules.ts";
import type { ErrorPage } from "../template/error-pages.ts";
import type { Template } from "../template/compile.ts";
import {
  errorOptions,
  toContext,
  type ContextOptions,
  type HaproxyContext,
} from "../template/context.ts";
import type { TlsMaterial } from "../template/tls.ts";
import type { Certificates } from "./certificates/certificates.ts";
import { currentReach } from "./host.ts";
import type { Challenges } from "./challenges.ts";
import type { ErrorDir } from "./error-dir.ts";
import type { LabelFiles } from "./label-files.ts";
import type { TemplateSlot } from "./template-file.ts";
import { notForwarded, takenAtHost, withoutTaken, type TcpPorts } from "./tcp-ports.ts";

/** What is served by HTTPS, and which certificate is shown for which name. */
type Https = TlsMaterial & CertificateChoice;

const materials = new WeakCache<TlsFiles, Https>();

/** What is served by HTTPS: it is the same object for the same certificates. */
function materialOf(files: TlsFiles): Https {
  return materials.get(files, ({ certificates, fallback, ticketKeys }) => {
    return { ...chooseCertificates(certificates), fallback, ticketKeys };
  });
}

/** Everything besides Docker's containers that decides what is in the files. */
export interface DesiredSettings {
  readonly routing: RoutingOptions;
  readonly template: Omit<ContextOptions, "challenges" | keyof ReturnType<typeof errorOptions>>;
  readonly haproxy: HaproxyContext;
  readonly pathOf: (file: string) => string;
  /** The files of this machine that labels name. */
  readonly labelFiles: Pick<LabelFiles, "areUsed" | "begin" | "haveChanged" | "read">;
  /** The pages for the gateway's own errors. */
  readonly errorDir: Pick<ErrorDir, "isUsed" | "hasChanged" | "read">;
  /** The certificates that are served. */
  readonly certificates: Pick<
    Certificates,
    "files" | "hasChanged" | "isUsed" | "refresh" | "warnings"
  >;
  /** What authorities ask for. */
  readonly challenges: Pick<Challenges, "entries">;
  /** The ports from which bytes are forwarded that cannot be had. */
  readonly tcpPorts: Pick<TcpPorts, "taken">;
}

export interface Desired {
  readonly model: Model;
  readonly files: Files;
  /** The pages for errors that are in the files. */
  readonly pages: readonly ErrorPage[];
  /** What is served by HTTPS in the files. */
  readonly tls: Https;
  /** What authorities ask for that is in the files. */
  readonly challenges: Challenges["entries"];
}

/** Makes the services to serve of those of running containers. */
type HoldServices = (services: readonly Service[]) => readonly Service[];

/** Makes the desired state at every pass, with the newest template that works. */
export class DesiredState {
  readonly #router = createRouter();
  /** The last desired state and the template that made it. */
  #last: { readonly template: Template; readonly desired: Desired } | undefined;
  /** What templates see as `Time`: when the files last changed. The clock alone is no change. */
  #time = new Date();

  constructor(
    private readonly template: TemplateSlot,
    private settings: DesiredSettings,
    /** The Engine's host name if it runs on another machine. */
    private readonly remoteHost: string | undefined,
    /** Makes the files for the gateway alone. */
    private readonly own: (model: Model, snapshot: Snapshot) => Files["assets"],
    private readonly log: Logger,
  ) {}

  /** Notes that HAProxy will be another program. The files are made anew for it. */
  setBuild(build: Build): void {
    this.settings = { ...this.settings, haproxy: { ...this.settings.haproxy, ...build } };
    this.#last = undefined;
  }

  /** Whether labels or flags name files of this machine, which may change by themselves. */
  get hasFiles(): boolean {
    const { certificates, errorDir, labelFiles } = this.settings;
    return labelFiles.areUsed || errorDir.isUsed || certificates.isUsed;
  }

  /** Whether there are certificates, which are to be served soon once they have changed. */
  get hasCertificates(): boolean {
    return this.settings.certificates.isUsed;
  }

  /**
   * Whether one of these files is another one than in the last desired state.
   * @param now in milliseconds since 1970
   */
  filesChanged(now: number): boolean {
    const { certificates, errorDir, labelFiles } = this.settings;
    return labelFiles.haveChanged() || errorDir.hasChanged() || certificates.hasChanged(now);
  }

  /**
   * Reads the certificates that have changed, and keeps them where HAProxy reads them.
   * @param now in milliseconds since 1970
   */
  async readCertificates(now: number): Promise<void> {
    await this.settings.certificates.refresh(now);
  }

  /** Notes that HAProxy took the last desired state. */
  accepted(): void {
    if (this.#last !== undefined) this.template.accepted(this.#last.template);
  }

  /** Notes that HAProxy refused the last desired state. Returns whether an older template is left. */
  refused(): boolean {
    return this.#last !== undefined && this.template.refused(this.#last.template);
  }

  /**
   * Makes the desired state. If the newest template is broken, that is logged and an older one used.
   * @param isUnchanged whether files bring no change: HAProxy runs them, or they are desired already
   * @param hold adds the services that are held
   * @throws GatewayError `template` if no template works
   */
  make(
    snapshot: Snapshot,
    isUnchanged: (files: Files) => boolean,
    hold: HoldServices = (services) => services,
  ): Desired {
    try {
      this.template.refresh();
    } catch (error) {
      this.log.failure(error, "the template before it is used on");
    }
    const reach = currentReach(snapshot, this.remoteHost);
    const candidates = this.template.candidates();
    let failure: unknown;
    for (const template of candidates) {
      let usesTime = false;
      const time = (): string => {
        usesTime = true;
        return this.#time.toISOString();
      };
      const make = (last?: Desired): Desired => {
        const made = makeDesired(
          snapshot,
          reach,
          this.settings,
          template,
          time,
          this.#router,
          last,
          hold,
        );
        return made.files === last?.files ? made : this.#withOwn(made, snapshot);
      };
      try {
        let desired = make(this.#last?.template === template ? this.#last.desired : undefined);
        if (usesTime && !isUnchanged(desired.files)) {
          this.#time = new Date();
          desired = make();
        }
        this.#last = { template, desired };
        return desired;
      } catch (error) {
        if (failure === undefined && candidates.length > 1) {
          this.log.failure(error, "the template before it is used on");
        }
        failure = error;
      }
    }
    throw failure;
  }

  #withOwn({ files: { config, assets }, ...made }: Desired, snapshot: Snapshot): Desired {
    const own = this.own(made.model, snapshot);
    return { ...made, files: { config, assets: { ...assets, ...own } } };
  }
}

/**
 * The containers into which a template would let everybody though a label of them keeps somebody out.
 * @returns the reason by container ID
 */
function letIn(
  services: readonly Service[],
  files: Files,
  template: string,
): Readonly<Record<string, string>> {
  const routes = services.flatMap((service) => service.routes);
  const reasons = new Map(
    unheededGuards(routes, files).map(({ route, label }) => [
      route,
      `label ${route.rules.prefix}${label} keeps somebody out of ${nameOf(route)}, and template ` +
        `${template} does not heed it: it would let everybody in (see "mark" in docs/templates.md)`,
    ]),
  );
  if (reasons.size === 0) return {};
  return Object.fromEntries(
    services.flatMap(({ routes: own, servers, waiting }) => {
      const reason = own.map((each) => reasons.get(each)).find((each) => each !== undefined);
      return reason === undefined ? [] : [...servers, ...waiting].map(({ id }) => [id, reason]);
    }),
  );
}

/**
 * Makes the desired state once. A container is left out if no file can hold a value of it.
 * @param time returns what a template sees as `Time`
 * @param router reuses what it decided at earlier calls
 * @param last what the same template made before: if the services are the same, so are the files
 * @param hold adds the services that are held
 * @throws GatewayError `template` if the template fails
 */
export function makeDesired(
  snapshot: Snapshot,
  reach: Reach,
  settings: DesiredSettings,
  template: Template,
  time: () => string,
  router: Router = createRouter(),
  last?: Desired,
  hold: HoldServices = (services) => services,
): Desired {
  const excluded: Record<string, string> = {};
  const { certificates, labelFiles, errorDir, routing, tcpPorts } = settings;
  let { taken } = tcpPorts;
  labelFiles.begin();
  const { pages, warnings } = errorDir.read();
  const tls = materialOf(certificates.files);
  const { entries: challenges } = settings.challenges;
  const options = { ...settings.template, ...errorOptions(pages), challenges };
  for (;;) {
    const made = router(snapshot, reach, { ...routing, excluded, taken });
    const atHost = takenAtHost(made, reach);
    if (Object.keys(atHost).length > 0) {
      // None of these is asked for any more then.
      taken = { ...taken, ...atHost };
      continue;
    }
    const routed = withSigners(
      withClientCertificates(
        withFiles(made, labelFiles.read, routing.labelPrefix),
        options.tls !== false,
      ),
      Date.now(),
    );
    const model = {
      ...routed,
      services: withoutTaken(hold(routed.services), taken),
      warnings: [...routed.warnings, ...warnings, ...certificates.warnings],
    };
    const isSame = last?.pages === pages && last.tls === tls && last.challenges === challenges;
    if (isSame && sameItems(last.model.services, model.services)) {
      return { model, files: last.files, pages, tls, challenges };
    }
    const context = toContext(model, options, settings.haproxy, time, titleOf, tls);
    try {
      const files = template.render(context, settings.pathOf);
      const open = template.isOwn
        ? {
            ...letIn(model.services, files, template.name),
            ...notForwarded(model.services, files, template.name),
          }
        : {};
      const isNew = Object.keys(open).some((id) => excluded[id] === undefined);
      if (!isNew) return { model, files, pages, tls, challenges };
      Object.assign(excluded, open);
    } catch (error) {
      if (!(error instanceof UnsafeValueError)) throw error;
      const { origin, problem } = error;
      if (origin === undefined || excluded[origin.id] !== undefined) {
        throw new GatewayError("template", `Cannot render the template: ${error.message}`, {
          cause: error,
        });
      }
      excluded[origin.id] = `its label ${origin.label} ${problem}`;
    }
  }
}
