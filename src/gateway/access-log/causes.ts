// Why a request ended other than it should, in words for HAProxy's two letters.
// Source: configuration manual, section 8.5 (Session state at disconnection).

/** What is wrong with the pair as a whole. */
const PAIRS: Readonly<Record<string, string>> = {
  LR: "the gateway answered itself",
  LH: "the gateway answered itself",
  LD: "the gateway answered itself",
  LC: "the gateway answered itself",
  PR: "the gateway refused the request",
  PH: "the gateway refused the container's answer",
  PD: "the gateway cut the container's answer off",
  PC: "HAProxy had no connection left",
  PT: "the gateway slowed the client down and refused it",
  CR: "the client went away before its request was complete",
  CQ: "the client went away while the request waited in the queue",
  CC: "the client went away before a container accepted the connection",
  CH: "the client went away before the answer",
  CD: "the client went away in the middle of request or answer",
  CL: "the client went away before it had the end of the answer",
  CT: "the client went away while it was slowed down",
  cR: "the client took too long to send its request",
  cQ: "the client took too long while the request waited in the queue",
  cC: "the client took too long before a container accepted the connection",
  cH: "the client took too long to send the body of its request",
  cD: "the client took or sent nothing for too long",
  cL: "the client took nothing of the end of the answer for too long",
  cT: "the client was slowed down until its time was over",
  SC: "the container refused the connection",
  SQ: "the container went away while the request waited in the queue",
  SH: "the container closed the connection before its answer",
  SD: "the container closed the connection in the middle of its answer",
  SL: "the container closed the connection at the end of its answer",
  SR: "the container closed the connection before it had the request",
  sQ: "the request waited too long in the queue",
  sC: "the container did not accept the connection in time",
  sH: "the container took too long to answer",
  sD: "the container sent nothing for too long in the middle of its answer",
  sL: "the container sent nothing for too long at the end of its answer",
  sR: "the container took too long to take the request",
  RC: "HAProxy had no file or port left for a connection to the container",
  RR: "HAProxy had no memory left",
};

/** Of pairs that have no words of their own, by their first letter. */
const FIRST: Readonly<Record<string, string>> = {
  L: "the gateway answered itself",
  P: "the gateway refused it",
  C: "the client went away",
  c: "the client took too long",
  S: "the container closed the connection",
  s: "the container took too long",
  R: "HAProxy had not enough of something, such as memory",
  I: "HAProxy made a mistake",
  D: "the container was found down",
  U: "another container came back",
  K: "the request was ended by hand or as its container goes",
};

/** What HAProxy's two letters mean. They are given back where nothing is known of them. */
export function causeOf(state: string): string {
  return PAIRS[state] ?? FIRST[state.charAt(0)] ?? state;
}
