// Reads what labels say of the certificates of clients.

import type { Rules } from "../../model.ts";

/** Whether a client must have one. */
export function parseMtls(text: string): string | undefined {
  const word = text.toLowerCase();
  return word === "required" || word === "optional" ? word : undefined;
}

/**
 * What the labels of a route say of the certificates of clients. The name of a file alone means that they are
 * required.
 * @param prefix what stands before each label
 */
export function mtlsOf(
  values: Rules["values"],
  prefix: string,
): { readonly values: Rules["values"]; readonly problem: string | undefined } {
  const { mtls, "mtls.ca": ca, "mtls.crl": crl } = values;
  if (mtls === undefined && ca === undefined && crl === undefined) {
    return { values, problem: undefined };
  }
  const problem =
    ca === undefined
      ? `label ${prefix}mtls.ca is missing, which names the file with who signs the certificates of clients`
      : undefined;
  return { values: { ...values, mtls: mtls ?? "required" }, problem };
}
