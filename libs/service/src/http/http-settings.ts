import { isIP } from 'node:net';
import { defineConfig, integer, listOf, setting, type ConfigOf, type Parser } from '../config.js';

const PER_MINUTE_MAX = 1_000_000_000;
const BITS_MAX: Readonly<Record<number, number>> = { 4: 32, 6: 128 };

/** An address, or a network such as `10.0.0.0/8`. */
const network: Parser<string> = {
  expected: 'an IP address, or a network such as 10.0.0.0/8',
  parse(value) {
    const [address = '', bits, ...rest] = value.split('/');
    const max = BITS_MAX[isIP(address)];
    if (max === undefined || rest.length > 0) return undefined;
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= max) ? value : undefined;
  },
};

const perMinute = (name: string, limit: number, of: string) =>
  setting(name, integer({ min: 0, max: PER_MINUTE_MAX }), {
    default: limit,
    description: `${of} a minute at most, in each service of each process; 0 sets no limit`,
  });

/** How much one caller may ask for, and who callers are. */
export const httpConfig = defineConfig({
  reads: perMinute('VAFA_RATE_READS', 1_200, 'requests of one person that read'),
  writes: perMinute('VAFA_RATE_WRITES', 300, 'requests of one person that write'),
  programs: perMinute('VAFA_RATE_SERVICE', 0, 'requests of one program, the role service,'),
  failures: perMinute('VAFA_RATE_FAILURES', 60, 'requests of one address without a valid token'),
  trustedProxies: setting('VAFA_TRUSTED_PROXIES', listOf(network), {
    default: [],
    description:
      'the reverse proxies whose X-Forwarded-For is believed; without them the address is that of the connection',
  }),
});

export type HttpConfig = ConfigOf<typeof httpConfig>;
