# One image for every service; which one runs is said by the command, as docker-compose.yml does:
#
#   docker build --tag vafa .                          the services and the command line
#   docker build --tag vafa-proxy --target proxy .     the reverse proxy with the API's documentation
#
# Versions are pinned by tag. Where a registry of your own mirrors the images, pin their digests there with the build arguments.
ARG NODE_IMAGE=docker.io/library/node:26.10.0-trixie-slim
ARG PROXY_IMAGE=docker.io/library/caddy:2.10.2-alpine

FROM ${NODE_IMAGE} AS build
WORKDIR /vafa
COPY . .
# No script of a package runs: the image has its own Node, and nothing else of what we use needs one.
RUN npm ci --ignore-scripts --no-audit --no-fund \
 && node tools/build.mjs \
 && node tools/site.mjs /site
# What only development or the embedded database needs goes: PostgreSQL is another container.
RUN npm prune --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
 && find apps libs -type d -name src -prune -exec rm -rf {} + \
 && rm -rf tools deploy node_modules/.cache

FROM ${PROXY_IMAGE} AS proxy
COPY --from=build /site /srv
COPY deploy/proxy/Caddyfile /etc/caddy/Caddyfile
# Its port is above 1024; the right to lower ones on the file itself would keep it from starting where capabilities are dropped.
RUN setcap -r /usr/bin/caddy \
 && install -d -o 1000 -g 1000 -m 0700 /certificates
USER 1000:1000
EXPOSE 3000

FROM ${NODE_IMAGE} AS service
ENV NODE_ENV=production \
    VAFA_HOST=0.0.0.0 \
    VAFA_PORT=3000 \
    VAFA_DATA=/data
WORKDIR /vafa
COPY --from=build /vafa ./
# Keys live here, and nothing else is ever written.
RUN install -d -o 1000 -g 1000 -m 0700 /data
VOLUME /data
# The user node of the image.
USER 1000:1000
EXPOSE 3000
ENTRYPOINT ["node"]
CMD ["apps/cli/dist/main.js", "--help"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.VAFA_PORT}/health/ready`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
