import { isIP } from 'node:net';

/** What may stand behind the question mark, in the client's spelling. */
const OPTIONS = [
  'tls',
  'tlsCAFile',
  'userCertFile',
  'userKeyFile',
  'connectionName',
  'maxDiscoverAttempts',
  'discoveryInterval',
  'gossipTimeout',
  'nodePreference',
  'keepAliveInterval',
  'keepAliveTimeout',
  'defaultDeadline',
] as const;

const flat = (name: string): string => name.toLowerCase().replace(/[_-]/g, '');
const KNOWN = new Map(OPTIONS.map((name) => [flat(name), name]));

/** A connection that has gone silent is noticed after both: it must be noticed, and a busy server is not silent. */
const KEEP_ALIVE_MS_MIN = 1_000;
const KEEP_ALIVE_MS_MAX = 60_000;

const isKeepAlive = (value: string): boolean =>
  /^\d{1,5}$/.test(value) && Number(value) >= KEEP_ALIVE_MS_MIN && Number(value) <= KEEP_ALIVE_MS_MAX;

const FORM =
  /^esdb(?:\+discover)?:\/\/(?:(?<login>[^:@/\s]+:[^@/\s]+)@)?(?<hosts>[^:@/?,\s]+(?::\d{1,5})?(?:,[^:@/?,\s]+(?::\d{1,5})?)*)\/?(?:\?(?<query>[^?\s]*))?$/;

/**
 * What is wrong with a connection string, or undefined where nothing is. Looked at before the client sees it: the client would warn of an
 * unknown option with the whole string, password and all, and takes options that would make the adapter wrong. Says nothing of the string's secrets.
 */
export const connectionStringFault = (value: string): string | undefined => {
  const match = FORM.exec(value);
  if (match === null) return 'it has the form esdb://user:password@host:2113?tls=true, esdb+discover:// for a cluster';
  const query = match.groups?.['query'] ?? '';
  for (const pair of query === '' ? [] : query.split('&')) {
    const [name = '', ...rest] = pair.split('=');
    const option = KNOWN.get(flat(name));
    if (option === undefined) return `${JSON.stringify(name)} is none of its options: ${OPTIONS.join(', ')}`;
    if (rest.join('=') === '') return `its option ${option} has no value`;
    if (option === 'nodePreference' && flat(rest.join('')) !== 'leader')
      return 'its nodePreference must be leader: what decides must read what was written last';
    if ((option === 'keepAliveInterval' || option === 'keepAliveTimeout') && !isKeepAlive(rest.join('=')))
      return `its option ${option} is a whole number of milliseconds from ${KEEP_ALIVE_MS_MIN} to ${KEEP_ALIVE_MS_MAX}`;
  }
  const hosts = (match.groups?.['hosts'] ?? '').split(',').map((host) => host.replace(/:\d+$/, ''));
  const address = hosts.find((host) => isIP(host) !== 0);
  const isPlain = /(?:^|&)tls=false(?:&|$)/i.test(query);
  if (isPlain && match.groups?.['login'] !== undefined)
    return 'user and password are sent over TLS only, and it says tls=false: leave out one of the two';
  // The client's transport names the server in the TLS handshake, where Node lets no address be named.
  if (address !== undefined && !isPlain)
    return `over TLS a server is named, not given by its address ${address}; tls=false speaks plainly`;
  return undefined;
};
