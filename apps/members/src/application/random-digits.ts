import { randomBytes } from 'node:crypto';

/** So many decimal digits, each as likely as any other, from the system's cryptographic source. */
export function randomDigits(count: number): string {
  let digits = '';
  while (digits.length < count)
    // 250 is the largest multiple of ten that a byte holds: what lies above would favour the low digits.
    for (const byte of randomBytes(count * 2)) if (byte < 250 && digits.length < count) digits += String(byte % 10);
  return digits;
}
