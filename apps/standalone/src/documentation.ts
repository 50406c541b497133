import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** A file to answer with. */
export type Page = { readonly type: string; readonly body: string | Buffer };

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vafa API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const START = `window.onload = () => {
  SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, persistAuthorization: true, validatorUrl: null });
};
`;

const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** Every path that `documentationPage` answers, for those who serve the pages as files. */
export const DOCUMENTATION_PATHS = ['/docs', '/docs/start.js', ...Object.keys(FILES).map((name) => `/docs/${name}`)];

/** The pages under `/docs`: Swagger UI from the packages, so that it works without the internet. */
export async function documentationPage(path: string): Promise<Page | undefined> {
  if (path === '/docs' || path === '/docs/') return { type: 'text/html; charset=utf-8', body: PAGE };
  if (path === '/docs/start.js') return { type: 'text/javascript; charset=utf-8', body: START };
  const name = path.slice('/docs/'.length);
  const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (type === undefined) return undefined;
  return { type, body: await readFile(join(swaggerFolder(), name)) };
}

/** It is @nestjs/swagger's dependency, so looked for from there. */
function swaggerFolder(): string {
  const swagger = createRequire(import.meta.url).resolve('@nestjs/swagger');
  return dirname(createRequire(swagger).resolve('swagger-ui-dist/package.json'));
}
