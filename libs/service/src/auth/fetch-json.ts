const TIMEOUT_MS = 5_000;
const BYTES_MAX = 1024 * 1024;

/** What was asked of an issuer was answered, and wrongly: asking again will not help, a setting is wrong or the issuer is. */
export class IssuerFault extends Error {
  override readonly name = 'IssuerFault';
}

/** Whether a URL may be asked for keys: by TLS, or on this machine. */
export const isSafeUrl = (text: string): boolean => {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
};

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);

/**
 * A JSON document of at most 1 MiB, within 5 seconds, without following redirects.
 * @throws IssuerFault for an answer that is none; any other error where no answer could be had, which may pass.
 */
export const fetchJson = async (url: string): Promise<unknown> => {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { signal, redirect: 'manual', headers: { accept: 'application/json' } });
  if (response.status >= 500 || response.status === 429) throw new Error(`${url} answers ${response.status}`);
  if (response.status !== 200) throw new IssuerFault(`${url} answers ${response.status || 'with a redirect'}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > BYTES_MAX) throw new IssuerFault(`${url} answers with more than ${BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (cause) {
    throw new IssuerFault(`${url} does not answer with JSON`, { cause });
  }
};
