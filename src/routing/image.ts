// Parses image references. The repository of an image is the path of its containers.

// Source of the grammar: https://pkg.go.dev/github.com/distribution/reference, the files regexp.go
// and normalize.go.
const DOMAIN_PART = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(
  String.raw`^(?:${DOMAIN_PART}(?:\.${DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$`,
);
const PATH_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${PATH_PART}(?:/${PATH_PART})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;
const FULL_ID = /^[a-f0-9]{64}$/;
/** The longest name that the grammar allows, with the registry. */
const NAME_LIMIT = 255;

export interface ImageReference {
  /** The registry, such as `localhost:5000`; empty if the reference names none. */
  readonly domain: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** Why a reference has no repository. */
export interface NoRepository {
  readonly reason: string;
}

/**
 * Parses an image reference.
 * @param reference as it was given when the container was created (`Config.Image`)
 * @param imageId the ID of the image (`sha256:...`), to tell the beginning of an ID from a name
 */
export function parseImage(reference: string, imageId = ""): ImageReference | NoRepository {
  if (isImageId(reference, imageId)) {
    return { reason: `image ${reference} is a bare ID, which has no path` };
  }
  const at = reference.indexOf("@");
  const digest = at < 0 ? "" : reference.slice(at + 1);
  const named = at < 0 ? reference : reference.slice(0, at);
  // A colon before the last slash belongs to the port of the registry.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? "" : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const [domain, repository] = splitDomain(name);

  const invalidPart =
    (!REPOSITORY.test(repository) && "repository") ||
    (domain !== "" && !DOMAIN.test(domain) && "registry") ||
    (colon >= 0 && !TAG.test(tag) && "tag") ||
    (at >= 0 && !DIGEST.test(digest) && "digest");
  if (invalidPart || name.length > NAME_LIMIT) {
    const part = invalidPart || "length";
    return { reason: `image ${JSON.stringify(reference)} has no valid ${part}, hence no path` };
  }
  return { domain, repository, tag, digest };
}

function isImageId(reference: string, imageId: string): boolean {
  if (reference.startsWith("sha256:") || FULL_ID.test(reference)) return true;
  // `docker run 3f2a91bc04de` leaves the beginning of the ID as the reference.
  return (
    /^[a-f0-9]{4,63}$/.test(reference) && imageId.replace(/^sha256:/, "").startsWith(reference)
  );
}

function splitDomain(name: string): [domain: string, repository: string] {
  const slash = name.indexOf("/");
  if (slash < 0) return ["", name];
  const first = name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (!isDomain) return ["", name];
  const rest = name.slice(slash + 1);
  // `nginx` is short for `docker.io/library/nginx`, and Podman gives the long form.
  return [first, first === "docker.io" ? rest.replace(/^library\/(?=[^/]+$)/, "") : rest];
}
