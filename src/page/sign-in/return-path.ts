/** Where a sign-in may lead: the list, or one proposal. */
const RETURN_PATH = /^\/_gate\/approvals(?:\/apr_[0-9a-z]{26})?$/;

export const LIST_PATH = "/_gate/approvals";

/**
 * The path that a sign-in leads back to: a path of the page itself, and by its form no address of anywhere else. Absent means
 * the list; null means that it is none of the gate's.
 */
export const readReturnPath = (text: string | undefined): string | null =>
  text === undefined ? LIST_PATH : RETURN_PATH.test(text) ? text : null;
