import type { FastifyInstance } from 'fastify';
import type { Access } from '../auth/permissions.js';

export type Route = {
  readonly method: string;
  /** The pattern, e.g. `/v1/members/:ref`. */
  readonly path: string;
  /** What it needs; undefined where nobody said, and nobody may. */
  readonly access: Access | undefined;
};

/** All routes of a service, for those who ask what else is there. */
export class RouteTable {
  private readonly entries: (Route & { readonly shape: RegExp })[] = [];

  /** Collects the routes that are registered from now on. */
  watch(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', ({ method, url, config }) => {
      const shape = new RegExp(`^${url.split('/').map(segmentShape).join('/')}/?$`);
      for (const one of [method].flat()) this.entries.push({ method: one, path: url, access: config?.access, shape });
    });
  }

  /** Every route, HEAD included. */
  all(): Route[] {
    return this.entries.map(({ method, path, access }) => ({ method, path, access }));
  }

  /** The methods that this path has, for the answer to another one. */
  methodsOf(path: string): string[] {
    return [...new Set(this.entries.filter(({ shape }) => shape.test(path)).map(({ method }) => method))].sort();
  }
}

const segmentShape = (segment: string): string =>
  segment
    .split(/(:[A-Za-z_]\w*|\*)/)
    .map((part) => (part === '*' ? '.*' : part.startsWith(':') ? '[^/]+' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('');
