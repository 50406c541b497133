import { join } from 'node:path';
import { SignJWT, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';
import { keyFile } from '../key-file.js';
import type { Role } from './permissions.js';

export const EMBEDDED_ISSUER = 'urn:vafa:embedded';
export const AUDIENCE = 'vafa';
export const ALGORITHM = 'ES256';

const EXPIRES_SECONDS_DEFAULT = 12 * 60 * 60;
const EXPIRES_SECONDS_MAX = 366 * 24 * 60 * 60;
const KEY_FILE = 'issuer.jwk.json';

export type MintRequest = {
  readonly role: Role;
  /** The member that the token belongs to; needed for, and only for, the role `member`. */
  readonly memberId?: string;
  /** Who uses it, the `source` of bare purchases; `vafa` by default. */
  readonly clientId?: string;
  /** Whom acts are put down to in the audit; by default the member, or the client. */
  readonly subject?: string;
  /** Lifetime in seconds: 12 hours by default, 366 days at most. */
  readonly expiresIn?: number;
};

/** Mints bearer tokens with a key pair of its own, for development and the embedded default. */
export class EmbeddedIssuer {
  private constructor(
    private readonly privateKey: CryptoKey,
    /** The public key as the verifier takes it. */
    readonly publicKey: CryptoKey,
    /** In production it mints nothing, and what it minted before is not believed. */
    readonly production: boolean,
  ) {}

  /** Opens the key in `folder`, or makes one there that only this user may read. Two that start at once get the same key. */
  static async open(options: { folder: string; production: boolean }): Promise<EmbeddedIssuer> {
    const file = join(options.folder, KEY_FILE);
    const stored = await keyFile(file, async () => JSON.stringify(await freshJwk()));
    try {
      return await EmbeddedIssuer.fromJwk(JSON.parse(stored) as JWK, options.production);
    } catch (error) {
      throw new Error(`The signing key ${file} cannot be read; remove it to have a new one made`, { cause: error });
    }
  }

  /** An issuer whose key is kept nowhere, for tests. */
  static async ephemeral(): Promise<EmbeddedIssuer> {
    return EmbeddedIssuer.fromJwk(await freshJwk(), false);
  }

  private static async fromJwk(jwk: JWK, production: boolean): Promise<EmbeddedIssuer> {
    const { d: _private, ...publicJwk } = jwk;
    const privateKey = (await importJWK(jwk, ALGORITHM)) as CryptoKey;
    const publicKey = (await importJWK(publicJwk, ALGORITHM)) as CryptoKey;
    return new EmbeddedIssuer(privateKey, publicKey, production);
  }

  /** A signed token. @throws in production, and for a role and member that do not go together. */
  async mint(request: MintRequest): Promise<string> {
    if (this.production) throw new Error('The embedded issuer mints no tokens where VAFA_ENVIRONMENT is production');
    const expiresIn = request.expiresIn ?? EXPIRES_SECONDS_DEFAULT;
    if (!Number.isInteger(expiresIn) || expiresIn < 1 || expiresIn > EXPIRES_SECONDS_MAX)
      throw new RangeError(`A token lives from 1 to ${EXPIRES_SECONDS_MAX} seconds, not ${expiresIn}`);
    if ((request.role === 'member') !== (request.memberId !== undefined))
      throw new Error('A token of the role member, and no other, needs the id of its member');
    const clientId = request.clientId ?? 'vafa';
    return new SignJWT({
      role: request.role,
      client_id: clientId,
      ...(request.memberId !== undefined && { member_id: request.memberId }),
    })
      .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT' })
      .setIssuer(EMBEDDED_ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(request.memberId ?? request.subject ?? clientId)
      .setIssuedAt()
      .setExpirationTime(`${expiresIn}s`)
      .sign(this.privateKey);
  }
}

const freshJwk = async (): Promise<JWK> => {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  return exportJWK(privateKey);
};
