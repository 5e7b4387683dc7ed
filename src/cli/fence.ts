// `docker-api-gateway fence`: takes ended containers out of the configuration, before HAProxy reads it.

import type { Command } from "./command.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { parseOptions } from "./options.ts";
import { preparePaths } from "./setup.ts";
import { describeFenced, fenceFiles } from "../gateway/fence-files.ts";
import { ConfigFiles } from "../haproxy/files/files.ts";
import { lockOutput, OutputLocked } from "../lib/lock.ts";
import { isOwnConfig } from "../template/compile.ts";

export const fenceCommand: Command = {
  name: "fence",
  description: "Take ended containers out of the configuration, before HAProxy starts",
  flags: GATEWAY_FLAGS,
  examples: [
    ["docker-api-gateway fence", "what install has done before each start of haproxy.service"],
  ],
  async run({ values }, io) {
    const { haproxy, log } = parseOptions(values);
    const { output } = preparePaths(haproxy, io.env);
    const logger = io.logger(log);
    const say = (text: string): void => io.write(`${output}: ${text}\n`);
    try {
      const unlock = await lockOutput(output, (message) => logger.warn(message));
      try {
        const files = new ConfigFiles(output, isOwnConfig, logger);
        const fenced = await fenceFiles(files);
        if (fenced === undefined) say("there is no configuration of the gateway's");
        else if (fenced.takenOut > 0)
          say(`HAProxy starts ${describeFenced(fenced, files.ownersPath)}`);
        else say("all containers behind its servers still run");
      } finally {
        unlock();
      }
    } catch (error) {
      if (!(error instanceof OutputLocked)) throw error;
      say("a gateway runs, and takes out ended containers itself");
    }
    return 0;
  },
};
