// Makes the archives of a release: the same files always give the same bytes.

import { createTar } from "nanotar";

/** The texts of files, by name. */
export type Documents = Readonly<Record<string, string>>;

/**
 * A ustar header has no room for longer names, and they are cut off without an error. In bytes.
 * Source: pax(1), "ustar Interchange Format".
 */
const LONGEST_NAME = 100;
/**
 * An archive ends with two empty blocks. nanotar writes them only if they fit into its last 10 KiB.
 */
const END = new Uint8Array(1_024);

/**
 * Makes a .tar.gz of the program and its documents in one folder.
 * @param folder the name of the folder
 * @param time when everything in it was made, in seconds since 1970
 */
export function programArchive(
  folder: string,
  program: Uint8Array,
  texts: Documents,
  time: number,
): Uint8Array<ArrayBuffer> {
  const documents = Object.keys(texts)
    .toSorted()
    .map((name) => ({ name: `${folder}/${name}`, data: texts[name] ?? "" }));
  const files = [
    // The program comes first, so that nobody has to read the rest to get it.
    { name: `${folder}/docker-api-gateway`, data: program, attrs: { mode: "755" } },
    ...documents,
  ];
  const long = files.find(({ name }) => name.length > LONGEST_NAME);
  if (long !== undefined) throw new Error(`Cannot archive "${long.name}": the name is too long`);
  const owner = { uid: 0, gid: 0, user: "root", group: "root" };
  const tar = createTar(files, { attrs: { ...owner, mode: "644", mtime: time * 1000 } });
  // Bun's own gzip: the gzip programs of machines differ in what they write.
  return Bun.gzipSync(Buffer.concat([tar, END]), { level: 6, library: "libdeflate" });
}
