const field = (error: unknown, name: string): unknown =>
  typeof error === 'object' && error !== null && name in error ? (error as Record<string, unknown>)[name] : undefined;

/** The code that Node's errors bear, such as `ENOENT`. Asked by shape: an error may come from another realm. */
export const codeOf = (error: unknown): string | undefined => {
  const code = field(error, 'code');
  return typeof code === 'string' ? code : undefined;
};

export const nameOf = (error: unknown): string => {
  const name = field(error, 'name');
  return typeof name === 'string' ? name : '';
};

export const messageOf = (error: unknown): string => {
  const message = field(error, 'message');
  return typeof message === 'string' && message !== '' ? message : (codeOf(error) ?? String(error));
};

export const causeOf = (error: unknown): unknown => field(error, 'cause');
