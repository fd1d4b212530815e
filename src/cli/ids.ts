/** The gate's ids are one path segment. Anything else would ask for another address than the one that was meant. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Whether the text can be an id of the gate's. */
export const isId = (text: string): boolean => ID.test(text);
