/** How a service of a distributed installation is called in its network, and where it listens. */
const PORT = 3_000;

/**
 * The part of deploy/proxy/Caddyfile that follows from the paths which each service claims: one matcher and one upstream a service, in the
 * order in which standalone asks them.
 * @param {readonly { name: string, paths: readonly RegExp[] }[]} services
 */
export const proxyRoutes = (services) =>
  services
    .map(
      ({ name, paths }) => `\t\t@${name} path_regexp ${paths.map(({ source }) => goPattern(source)).join('|')}
\t\thandle @${name} {
\t\t\treverse_proxy {
\t\t\t\t# Replicas come and go: their addresses are asked for.
\t\t\t\tdynamic a {
\t\t\t\t\tname {$VAFA_PROXY_${name.toUpperCase()}_HOST:${name}}
\t\t\t\t\tport {$VAFA_PROXY_${name.toUpperCase()}_PORT:${PORT}}
\t\t\t\t\trefresh 2s
\t\t\t\t}
\t\t\t\timport upstream
\t\t\t}
\t\t}`,
    )
    .join('\n');

/** The same pattern for Go's RE2, which knows no escaped slash. Look-arounds and back references it does not have, so they are refused. */
const goPattern = (source) => {
  if (/\(\?(?!:)|\\[1-9k]/.test(source)) throw new Error(`The reverse proxy cannot match ${source}.`);
  return source.replaceAll('\\/', '/');
};
