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

/** What a user is, in words. */
export const USER_FORM =
  "user with a hash that HAProxy can check, such as bob:$2y$10$... (bcrypt with a cost of 4 to 12, SHA-512 or SHA-256)";
/** So much of a line is shown. */
const SHOWN = 80;

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

/**
 * Reads a file of users, one in each line. An empty line, and one that begins with a `#`, is none.
 * @returns them as the label has them, or what is wrong with the text
 */
export function parseUserFile(text: string): { text: string } | { problem: string } {
  const users: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const word = line.trim();
    if (word === "" || word.startsWith("#")) continue;
    const user = parseUser(word);
    if (user === undefined) {
      return {
        problem: `line ${index + 1}, ${JSON.stringify(usersOf(word).slice(0, SHOWN))}, is no ${USER_FORM}`,
      };
    }
    users.push(user);
  }
  return users.length === 0 ? { problem: "it has no user" } : { text: users.join(",") };
}
