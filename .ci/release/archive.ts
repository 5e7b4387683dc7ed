// The archives of a release: always the same bytes for the same files.

import { createTar } from "nanotar";

/** Files by name. */
export type Documents = Readonly<Record<string, string>>;

/** What no ustar header holds is cut off without a word. Source: pax(1), "ustar Interchange Format". */
const LONGEST_NAME = 100;
/** Two empty blocks, by which an archive ends. nanotar has them only where they fit in its last 10 KiB. */
const END = new Uint8Array(1_024);

/**
 * A .tar.gz with the program and what comes beside it, in one folder.
 * @param folder the folder's name
 * @param time when everything in it was made, in seconds
 */
export function programArchive(
  folder: string,
  program: Uint8Array,
  beside: Documents,
  time: number,
): Uint8Array<ArrayBuffer> {
  const documents = Object.keys(beside)
    .toSorted()
    .map((name) => ({ name: `${folder}/${name}`, data: beside[name] ?? "" }));
  const files = [
    // First, so that who wants only this need not read the rest.
    { name: `${folder}/docker-api-gateway`, data: program, attrs: { mode: "755" } },
    ...documents,
  ];
  const long = files.find(({ name }) => name.length > LONGEST_NAME);
  if (long !== undefined) throw new Error(`Cannot archive "${long.name}": the name is too long`);
  const owner = { uid: 0, gid: 0, user: "root", group: "root" };
  const tar = createTar(files, { attrs: { ...owner, mode: "644", mtime: time * 1000 } });
  // Bun's own gzip, as those of the machine differ in what they write.
  return Bun.gzipSync(Buffer.concat([tar, END]), { level: 6, library: "libdeflate" });
}
