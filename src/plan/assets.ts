// Plans the changes of assets: the files that a configuration names.

import { isDeepStrictEqual } from "node:util";
import {
  hasKey,
  mapEntries,
  valuesByKey,
  runningValue,
  type MapEntry,
} from "../config/map-file.ts";
import { asksClients, listLines } from "../config/crt-list.ts";
import type { Aliases, Operation } from "../config/operations.ts";
import { lineDifference } from "../lib/text.ts";
import type { Asset, AssetKind, Files } from "../model.ts";
import type { Change } from "./sections.ts";

type AssetPlan = (path: string, before: Asset, after: Asset, aliases: Aliases) => Change;

/** The kinds of which HAProxy may get another one, and do without one, while it runs. */
type Authority = Asset & { readonly kind: "ca" | "crl" };

/** Plans the change of an asset at run time, by the asset's kind. False: HAProxy does not read it. */
const PLAN_BY_KIND: Readonly<Record<AssetKind, AssetPlan | false>> = {
  map: planMap,
  script: planStatic,
  file: planStatic,
  crtlist: planCrtList,
  certificate: planCertificate,
  ticketkeys: planTicketKeys,
  ca: planAuthorities,
  crl: planAuthorities,
  owners: false,
  containers: false,
};

/** Plans the changes of all assets that HAProxy reads. Of most kinds, a new or removed one takes a reload. */
export function planAssets(before: Files, after: Files, aliases: Aliases): Change[] {
  const paths = [...new Set([...Object.keys(before.assets), ...Object.keys(after.assets)])];
  return paths.toSorted().flatMap((path) => {
    const [old, now] = [before.assets[path], after.assets[path]];
    const kind = (now ?? old)?.kind;
    const plan = kind === undefined ? false : PLAN_BY_KIND[kind];
    if (plan === false) return [];
    if (old === undefined && isAuthority(now)) {
      return changeOf({ do: "add authorities", file: path, kind: now.kind, text: now.text });
    }
    if (now === undefined && isAuthority(old)) {
      return changeOf({ do: "remove authorities", file: path, kind: old.kind });
    }
    if (old === undefined || now === undefined || old.kind !== now.kind) {
      const reason = `${kind} ${path} is ${old === undefined ? "new" : "gone"}`;
      return { operations: [], reasons: [reason] };
    }
    return plan(path, old, now, aliases);
  });
}

/** HAProxy reads it when it starts. */
function planStatic(path: string, before: Asset, after: Asset): Change {
  const reasons = before.text === after.text ? [] : [`${after.kind} ${path} changed`];
  return { operations: [], reasons };
}

/** Certificates are shown for names, each by a line. The first one is for all others: it stays. */
function planCrtList(path: string, before: Asset, after: Asset): Change {
  if (before.text === after.text) return { operations: [], reasons: [] };
  const [old, now] = [listLines(before.text), listLines(after.text)];
  if (old[0] !== now[0]) {
    return { operations: [], reasons: [`crtlist ${path} has another first certificate`] };
  }
  const [had, has] = [new Set(old), new Set(now)];
  return {
    operations: [
      ...now
        .filter((line) => !had.has(line))
        .map((line): Operation => ({ do: "add certificate", list: path, line })),
      ...old
        .filter((line) => !has.has(line))
        .map((line): Operation => {
          const action = asksClients(line) ? "withdraw certificate" : "remove certificate";
          return { do: action, list: path, line };
        }),
    ],
    reasons: [],
  };
}

/** Who signs the certificates of clients, or what is revoked of these. */
function planAuthorities(path: string, before: Asset, after: Asset): Change {
  return before.text === after.text || !isAuthority(after)
    ? { operations: [], reasons: [] }
    : changeOf({ do: "set authorities", file: path, kind: after.kind, text: after.text });
}

function isAuthority(asset: Asset | undefined): asset is Authority {
  return asset?.kind === "ca" || asset?.kind === "crl";
}

function changeOf(operation: Operation): Change {
  return { operations: [operation], reasons: [] };
}

function planCertificate(path: string, before: Asset, after: Asset): Change {
  const { text } = after;
  const operations: Operation[] =
    before.text === text ? [] : [{ do: "set certificate", file: path, text }];
  return { operations, reasons: [] };
}

/** Keys move up in the file, and new ones come behind them. */
function planTicketKeys(path: string, before: Asset, after: Asset): Change {
  const [old, now] = [keysOf(before), keysOf(after)];
  if (old.length !== now.length) {
    return { operations: [], reasons: [`ticketkeys ${path} has more keys, or fewer`] };
  }
  const turns = old.findIndex((_, index) =>
    isDeepStrictEqual(old.slice(index), now.slice(0, old.length - index)),
  );
  const fresh = turns < 0 ? now : now.slice(now.length - turns);
  return {
    operations: fresh.map((key): Operation => ({ do: "turn ticket keys", file: path, key })),
    reasons: [],
  };
}

function keysOf({ text }: Asset): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** With this many changes or more, a map is replaced as a whole in one transaction. */
const REPLACE_WHOLE_FROM = 100;

/** The operations that bring a running map to its new text. */
function planMap(path: string, before: Asset, after: Asset, aliases: Aliases): Change {
  if (before.text === after.text) return { operations: [], reasons: [] };
  const { start, before: oldEnd, after: newEnd } = lineDifference(before.text, after.text);
  const oldEntries = mapEntries(before.text.slice(start, oldEnd).split("\n"));
  const newEntries = mapEntries(after.text.slice(start, newEnd).split("\n"));
  const [old, now] = [valuesByKey(oldEntries), valuesByKey(newEntries)];
  const changed = [...now].filter(([key, value]) => old.get(key) !== value);
  const removed = [...old.keys()].filter((key) => !now.has(key));
  if (isDeepStrictEqual(oldEntries, newEntries)) return { operations: [], reasons: [] };
  const keys = [...new Set([...old.keys(), ...now.keys()])];
  const common = [before.text.slice(0, start), before.text.slice(oldEnd)];
  // An operation names an entry by its key, so it cannot tell repeated keys apart.
  const replacesWhole =
    changed.length + removed.length >= REPLACE_WHOLE_FROM ||
    oldEntries.length > old.size ||
    newEntries.length > now.size ||
    common.some((text) => hasKey(text, keys));
  if (replacesWhole) {
    const entries = mapEntries(after.text.split("\n")).map(([key, value]): MapEntry => {
      return [key, runningValue(value, aliases)];
    });
    return { operations: [{ do: "replace map", map: path, entries }], reasons: [] };
  }
  const operations = [
    ...changed.map(([key, value]): Operation => {
      const action = old.has(key) ? "set entry" : "add entry";
      return { do: action, map: path, key, value: runningValue(value, aliases) };
    }),
    ...removed.map((key): Operation => ({ do: "delete entry", map: path, key })),
  ];
  return { operations, reasons: [] };
}
