// Labels of the gateway, and a user that they may name.

/** Labels with the usual prefix. */
export function labels(own: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(own).map(([key, text]) => [`gateway.${key}`, text]));
}

const PASSWORD = "pass:word";
/** The hash of `bob`'s password, by SHA-512. */
export const SHA512 =
  "$6$saltsalt$SERkwHa3K3JJvpeWCw2djYTBdBQouRmaol9kjQZR2Baz..OPWxBMnLyvIoRBJQ6vIeSuZliRrDkMuEGNJ5MRr1";
/** What `bob` sends with his password. */
export const AUTHORIZATION = `Basic ${Buffer.from(`bob:${PASSWORD}`).toString("base64")}`;
