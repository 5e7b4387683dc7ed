// Where answers to HTTP-01 are put, so that an authority finds them.

/** What HAProxy answers below `/.well-known/acme-challenge/`. Source: RFC 8555, section 8.3. */
export interface Answers {
  /**
   * Has HAProxy answer a token with a text. Resolves once it does.
   * @throws Failure `here` if it does not get there in time
   */
  put(token: string, text: string): Promise<void>;
  /** Takes an answer away again. */
  take(token: string): void;
}
