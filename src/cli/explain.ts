// `docker-api-gateway explain`: why a container is or is not routed, and where a URL goes.

import { asText, explain, explainAsLabels, type World } from "../api/explain/explain.ts";
import { findRunning } from "../api/running.ts";
import { currentReach } from "../gateway/host.ts";
import { LabelFiles, requireFolders } from "../gateway/label-files.ts";
import { withFiles } from "../routing/settings/files.ts";
import { ASK_FLAGS, askedGateway } from "./asked-gateway.ts";
import { httpsBeside, routeBeside } from "./beside.ts";
import type { Command } from "./command.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { parseOptions } from "./options.ts";
import { openEngines, preparePaths } from "./setup.ts";

/** HAProxy answers within milliseconds, but it may hang. In milliseconds. */
const HAPROXY_PATIENCE = 2_000;

export const explainCommand: Command = {
  name: "explain",
  description: "Tell why a container is or is not routed, or where a URL goes",
  flags: {
    "as-labels": {
      type: "boolean",
      description: "print how a container is served as labels of the gateway, for a compose file",
    },
    ...ASK_FLAGS,
    ...GATEWAY_FLAGS,
  },
  argument: {
    name: "what",
    description: "a container, an image, or a URL",
    required: true,
    names: "served",
  },
  examples: [
    ["docker-api-gateway explain web-1", "a container, running or not, by name or ID"],
    ["docker-api-gateway explain acme/shop", "all containers of an image"],
    ["docker-api-gateway explain web-1 --as-labels", "Traefik's labels, say, as the gateway's own"],
    ["docker-api-gateway explain '/acme/shop/cart?id=1'", "a URL, with or without its host"],
    ["docker-api-gateway explain https://shop.example.com/", "its certificate, too"],
    ["docker-api-gateway explain tcp://db.example.com:5432", "a port, and a name asked for by TLS"],
  ],
  async run(words, io) {
    const { argument: what = "" } = words;
    const { "as-labels": asLabels, gateway: _, ...raw } = words.values;
    const options = parseOptions(raw);
    const gateway = await askedGateway(words, io);
    if (gateway !== undefined) {
      const text = asLabels === true ? gateway.asLabels(what) : (await gateway.explain(what)).text;
      io.write(await text);
      return 0;
    }
    const { routing } = options;
    requireFolders(options.labelFiles);
    const { output } = preparePaths(options.haproxy, io.env);
    const engines = openEngines(options, io.env);
    try {
      const snapshot = await engines.readOnce(io.logger({ ...options.log, level: "warn" }));
      const reach = currentReach(snapshot, engines.remoteHost);
      const model = withFiles(
        await routeBeside(snapshot, reach, options, output),
        new LabelFiles(options.labelFiles).read,
        routing.labelPrefix,
      );
      const running = () => findRunning(output, AbortSignal.timeout(HAPROXY_PATIENCE));
      const { index } = options;
      const https = await httpsBeside(options, io.env, output);
      const world: World = {
        snapshot,
        reach,
        routing,
        model,
        index,
        engines,
        running,
        https,
      };
      const text =
        asLabels === true
          ? explainAsLabels(what, "any", world)
          : asText(await explain(what, "any", world));
      io.write(await text);
      return 0;
    } finally {
      engines.close();
    }
  },
};
