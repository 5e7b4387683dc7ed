// Reads users with their hashed passwords, as `htpasswd` and `mkpasswd` write them.

/** Commas and blanks divide a list, and a colon ends the name (RFC 7617, section 2). */
const USER = /^([A-Za-z0-9._@+-]{1,64}):(\S+)$/;
/**
 * What crypt(3) knows on every system that HAProxy runs on, musl's included: bcrypt, SHA-512, SHA-256. One
 * password of a bcrypt hash with a cost of 12 keeps HAProxy from all else for 200 ms, so no more than that.
 */
const HASHES = [
  /^\$2[aby]\$(?:0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}$/,
  /^\$6\$(?:rounds=[1-9]\d{3,5}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}$/,
  /^\$5\$(?:rounds=[1-9]\d{3,5}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43}$/,
];

/** A user and the hash of the password, as `bob:$2y$10$...`. */
export function parseUser(text: string): string | undefined {
  // A compose file wants each $ twice, and not everybody takes the second one off again.
  const word = text.replaceAll("$$", "$");
  const [, , hash = ""] = USER.exec(word) ?? [];
  return HASHES.some((form) => form.test(hash)) ? word : undefined;
}

/** The names of the users alone. What stands behind may be a password. */
export function usersOf(text: string): string {
  return text
    .split(",")
    .map((word) => (word.includes(":") ? word.replace(/:.*/, ":...") : "..."))
    .join(",");
}
