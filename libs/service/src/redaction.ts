const HIDDEN = '[hidden]';

// Fields that hold secrets or personal data wherever they occur, compared in lower case without dashes and underscores.
const SECRET_FIELDS = new Set([
  ...['authorization', 'cookie', 'setcookie', 'token', 'accesstoken', 'bearer', 'password', 'secret', 'privatekey'],
  ...['phone', 'email', 'mobile', 'firstname', 'lastname', 'fullname', 'birthdate', 'address', 'databaseurl'],
]);

const DEPTH_MAX = 6;
const ITEMS_MAX = 50;

/** A copy of what is to be logged without secrets and personal data; deep and long values are cut. */
export const hide = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return hideText(value);
  if (value === null || typeof value !== 'object') return typeof value === 'bigint' ? value.toString() : value;
  if (value instanceof Error) return hideError(value, depth);
  if (depth >= DEPTH_MAX) return '[deep]';
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => hide(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (hasJson(value)) return hide(value.toJSON(), depth + 1);
  return hideFields(value, depth);
};

const hasJson = (value: object): value is { toJSON(): unknown } =>
  'toJSON' in value && typeof value.toJSON === 'function';

const hideFields = (value: object, depth: number): Record<string, unknown> => {
  const hidden: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value))
    hidden[name] = SECRET_FIELDS.has(name.toLowerCase().replace(/[-_]/g, '')) ? HIDDEN : hide(field, depth + 1);
  return hidden;
};

// Of an error only what says where and why: drivers attach the row's values (PostgreSQL's `detail`) and whole requests.
const hideError = (error: Error, depth: number): Record<string, unknown> => ({
  type: error.name,
  message: hideText(error.message),
  ...('code' in error && { code: error.code }),
  stack: hideText(error.stack ?? ''),
  ...(error.cause !== undefined && depth < DEPTH_MAX && { cause: hide(error.cause, depth + 1) }),
});

/** The same text with bearer tokens, JWTs, passwords in URLs, and phone and e-mail references hidden. */
export const hideText = (text: string): string =>
  text
    .replace(/(\w+:\/\/[^:@/\s]*):[^@/\s]*@/g, `$1:${HIDDEN}@`)
    .replace(/\bBearer\s+[\w.~+/-]+=*/gi, `Bearer ${HIDDEN}`)
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, HIDDEN)
    .replace(/\b(phone|email):[^\s"',}\])]+/gi, `$1:${HIDDEN}`)
    .replace(/[\w.+-]+@[\w-]+\.[\w.-]+/g, HIDDEN);
