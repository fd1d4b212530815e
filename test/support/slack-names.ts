/** The one app of the deployment under test, and the secret that Slack signs its interactions with. */
export const STANDIN_APP = "A0STANDIN";
export const STANDIN_SIGNING_SECRET = "5f1c0d2e8a9b4c7d6e3f2a1b0c9d8e7f";

/** Bot token of the stand-in's workspace of this name (lower-case letters, digits, dashes). */
export const tokenOf = (name: string): string => `xoxb-standin-${name}`;
/** Team id of the same workspace. */
export const teamOf = (name: string): string => `T0${name.replaceAll("-", "").toUpperCase()}`;
