# An image of Caddy with patgate, built from this checkout:
#
#	docker build --file xcaddy.Dockerfile --tag patgate .
#	docker run --publish 8080:8080 --volume patgate-data:/data \
#		--volume ./Caddyfile:/etc/caddy/Caddyfile:ro patgate
#
# Its commands are below "caddy patgate": docker exec NAME caddy patgate token list

FROM golang:1.26-bookworm AS build
RUN go install github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5
WORKDIR /src
COPY . .
# The tags are those of Caddy's own releases: they leave databases out that only
# its ACME server could use.
ENV CGO_ENABLED=0 XCADDY_GO_BUILD_FLAGS="-trimpath -ldflags=-s -tags=nobadger,nomysql,nopgx"
RUN xcaddy build "$(go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)" \
	--with github.com/patgate/patgate/caddymodule \
	--replace github.com/patgate/patgate=/src \
	--output /out/caddy

FROM debian:bookworm-slim
RUN useradd --system --uid 65532 --no-create-home caddy && install --directory --owner caddy --mode 0700 /data /config
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/caddy /usr/bin/caddy
COPY Caddyfile.example /etc/caddy/Caddyfile
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config
# Tokens and certificates; configuration that was loaded through the admin API.
VOLUME ["/data", "/config"]
EXPOSE 8080 8443
USER caddy
# Whether the server runs and answers, no more: to restart it would not mend a store
# that can't be asked, and would end what held tokens still serve.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["caddy", "patgate", "status"]
ENTRYPOINT ["caddy"]
CMD ["run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
