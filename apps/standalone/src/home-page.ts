import type { Page } from './documentation.js';

const escape = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.codePointAt(0)};`);

/** What a browser shows at the address that the terminal prints. */
export function homePage(services: readonly { name: string; description: string }[], version: string): Page {
  const rows = services
    .map(
      ({ name, description }) =>
        `<li><strong>${escape(name)}</strong>: ${escape(description)} <a href="/metrics/${escape(name)}">metrics</a></li>`,
    )
    .join('\n');
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vafa</title>
<style>
body { font: 17px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color: #1c2b28; background: #fbfbf8 }
a { color: #0a6e5c } code { background: #ecefe9; padding: .1em .35em; border-radius: .25em } h1 small { font-weight: 400; color: #66756f }
@media (prefers-color-scheme: dark) { body { color: #e4e9e6; background: #14191a } a { color: #59c9b0 } code { background: #232b2c } }
</style>
</head>
<body>
<h1>Vafa <small>${escape(version)}</small></h1>
<p>The customer club runs. What it offers to programs is described in the <a href="/docs">API documentation</a>
(<a href="/openapi.json">openapi.json</a>).</p>
<ul>
${rows}
</ul>
<p>Is it well? <a href="/health/ready">health/ready</a>. How busy? <a href="/metrics">metrics</a>.</p>
<p>Calls need a token: <code>npm run vafa -- token --role admin</code>. Tables for analysts: <code>npm run vafa -- status</code> prints where.</p>
</body>
</html>
`;
  return { type: 'text/html; charset=utf-8', body };
}
