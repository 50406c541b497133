// Lets Node run this repository's TypeScript as it stands, for the few programs that tests start: what they import is
// found among the sources, as in the tests themselves. Node strips the types.
import { registerHooks } from 'node:module';

const LIBS = new URL('../../', import.meta.url);

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === '@vafa/persistence/embedded')
      return next(new URL('persistence/src/embedded/embedded-postgres.ts', LIBS).href, context);
    const isOurs = context.parentURL?.startsWith(LIBS.href) === true && context.parentURL.endsWith('.ts');
    return next(isOurs ? specifier.replace(/^(\.{1,2}\/.*)\.js$/, '$1.ts') : specifier, context);
  },
});
